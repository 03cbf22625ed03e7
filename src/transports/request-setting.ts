/** What a caller says to gatepass about one request, checked. */
import {StrategyError} from '../errors.ts';

/**
 * What `gatepass` may hold, per request: `false` sends it without authentication, `fresh` passes the token cache over,
 * once, `tenant` says whose tokens to use. got's requests take it in their `context`, all others in their options.
 *
 * @example
 * await gatepass.got(url, {context: {gatepass: {fresh: true}}});
 * await gatepass.fetch(url, {gatepass: {fresh: true}});
 */
export type GatepassContext = false | {readonly fresh?: boolean; readonly tenant?: string};

const fields: Readonly<Record<string, 'boolean' | 'string'>> = {fresh: 'boolean', tenant: 'string'};

/**
 * The setting of one request; nothing said is an empty object.
 *
 * @param place where the caller wrote it: for messages.
 * @throws {StrategyError} for anything else: a value that is nearly `false` must not send a credential.
 */
export function checkSetting(value: unknown, place: string): GatepassContext {
	if (value === undefined) return {};
	if (value === false) return false;
	if (!isPlainObject(value)) {
		throw new StrategyError({
			code: 'context-invalid',
			what: `${place} is ${value === null ? 'null' : `a value of type ${typeOf(value)}`}`,
			hint: "Set it to false, or to an object with 'fresh' and 'tenant', or leave it out",
		});
	}
	for (const [name, field] of Object.entries(value)) {
		const type = Object.hasOwn(fields, name) ? fields[name] : undefined;
		if (type === undefined) {
			throw new StrategyError({
				code: 'context-invalid',
				what: `${place} has no field '${name}'`,
				hint: "It takes 'fresh' and 'tenant'",
			});
		}
		if (field !== undefined && (typeof field !== type || field === '')) {
			throw new StrategyError({
				code: 'context-invalid',
				what: `${place}.${name} is ${field === '' ? 'empty' : `no ${type}`}`,
				hint: field === '' ? 'Name the tenant, or leave it out' : 'Make it one, or leave it out',
			});
		}
	}
	return value as GatepassContext;
}

/** Of any realm. What is made by a class, `new Boolean(false)` among them, says something else than its fields do. */
export function isPlainObject(value: unknown): value is object {
	if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
	const prototype = Object.getPrototypeOf(value);
	return (
		prototype === null ||
		(Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf'))
	);
}

function typeOf(value: unknown): string {
	if (Array.isArray(value)) return 'array';
	return typeof value === 'object' && value !== null ? (value.constructor?.name ?? 'object') : typeof value;
}
