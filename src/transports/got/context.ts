/** What a caller says to gatepass about one request: `context.gatepass`, checked, and merged field by field. */
import type {OptionsInit} from 'got';
import {StrategyError} from '../../errors.ts';

/**
 * What `context.gatepass` may hold, per request: `false` sends it without authentication, `fresh` passes the token
 * cache over, once, `tenant` says whose tokens to use.
 *
 * @example
 * await gatepass.got(url, {context: {gatepass: {fresh: true}}});
 */
export type GatepassContext = false | {readonly fresh?: boolean; readonly tenant?: string};

const fields: Readonly<Record<string, 'boolean' | 'string'>> = {fresh: 'boolean', tenant: 'string'};

/**
 * The setting of one request; nothing said is an empty object.
 *
 * @throws {StrategyError} for anything else: a value that is nearly `false` must not send a credential.
 */
export function checkContext(value: unknown): GatepassContext {
	if (value === undefined) return {};
	if (value === false) return false;
	if (typeof value !== 'object' || value === null || Array.isArray(value)) {
		throw new StrategyError({
			code: 'context-invalid',
			what: `context.gatepass is ${value === null ? 'null' : `a value of type ${Array.isArray(value) ? 'array' : typeof value}`}`,
			hint: "Set it to false, or to an object with 'fresh' and 'tenant', or leave it out",
		});
	}
	for (const [name, field] of Object.entries(value)) {
		const type = Object.hasOwn(fields, name) ? fields[name] : undefined;
		if (type === undefined) {
			throw new StrategyError({
				code: 'context-invalid',
				what: `context.gatepass has no field '${name}'`,
				hint: "It takes 'fresh' and 'tenant'",
			});
		}
		if (field !== undefined && typeof field !== type) {
			throw new StrategyError({
				code: 'context-invalid',
				what: `context.gatepass.${name} is no ${type}`,
				hint: 'Make it one, or leave it out',
			});
		}
	}
	return value as GatepassContext;
}

/** What got calls as its `init` hook. got merges `context` at its top only, so a request's `fresh` would drop the instance's `tenant`. */
export function keepFieldsOfInstance(
	request: OptionsInit,
	{context: instance}: {context: Record<string, unknown>},
): void {
	const [ours, before] = [request.context?.gatepass, instance.gatepass];
	if (!isObject(ours) || !isObject(before)) return;
	request.context = {...request.context, gatepass: {...before, ...ours}};
}

function isObject(value: unknown): value is object {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}
