/** What a caller says to gatepass about one request of got, merged field by field. */
import type {OptionsInit} from 'got';
import {checkSetting, type GatepassContext, isPlainObject} from '../request-setting.ts';

/** The setting of one request in got's `context`; see {@link checkSetting}. */
export const checkContext = (value: unknown): GatepassContext => checkSetting(value, 'context.gatepass');

/** What got calls as its `init` hook. got merges `context` at its top only, so a request's `fresh` would drop the instance's `tenant`. */
export function keepFieldsOfInstance(
	request: OptionsInit,
	{context: instance}: {context: Record<string, unknown>},
): void {
	const [ours, before] = [request.context?.gatepass, instance.gatepass];
	if (!isPlainObject(ours) || !isPlainObject(before)) return;
	request.context = {...request.context, gatepass: {...before, ...ours}};
}
