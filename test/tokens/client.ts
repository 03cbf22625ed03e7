/** A gatepass whose one rule gets tokens from the token endpoint of a test. */
import {onTestFinished} from 'vitest';
import {createGatepass, type Gatepass, type GatepassSettings} from '../../src/index.ts';
import type {TokenEndpoint} from './token-endpoint.ts';

/** Settings besides; `cacheUrl` is `memory:` unless given. */
export interface ClientSettings extends Omit<GatepassSettings, 'config'> {
	readonly cacheUrl?: string;
	readonly encryptionKey?: string;
	readonly tenant?: string;
}

export async function createClient(
	endpoint: TokenEndpoint,
	{cacheUrl, encryptionKey, tenant, ...settings}: ClientSettings = {},
): Promise<Gatepass> {
	const isOwn = encryptionKey === undefined;
	const cache = {
		...(settings.cache === undefined && {url: cacheUrl ?? 'memory:'}),
		...(isOwn ? {encryption: 'off' as const} : {encryptionKey}),
	};
	const options = {clientId: 'reports', clientSecret: 'a-client-secret', tokenEndpoint: endpoint.url};
	const rule = {match: 'http://127.0.0.1:*', strategy: 'sso-client-credentials', options};
	const gatepass = await createGatepass({
		env: {},
		...settings,
		config: {cache, hostRules: [tenant === undefined ? rule : {...rule, tenant}]},
	});
	onTestFinished(() => gatepass.close());
	return gatepass;
}
