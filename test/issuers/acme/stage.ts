/** A connection to a real ACME server, with what a test of it needs around. */
import {onTestFinished} from 'vitest';
import {parsePattern} from '../../../src/host-rules/pattern.ts';
import {DirectHttpClient} from '../../../src/http/direct-client.ts';
import {type Account, registerAccount} from '../../../src/issuers/acme/account.ts';
import {AcmeConnection, type AcmeHttp} from '../../../src/issuers/acme/connection.ts';
import {AccountKey} from '../../../src/issuers/acme/jws.ts';
import {TlsAgents} from '../../../src/tls/agents.ts';
import {TrustStores} from '../../../src/trust/trust-stores.ts';
import {type Pebble, type PebbleSettings, startPebble} from '../../servers/pebble.ts';

/** Start one for this test. */
export async function pebbleFor(settings?: PebbleSettings): Promise<Pebble> {
	const pebble = await startPebble(settings);
	onTestFinished(() => pebble.close());
	return pebble;
}

export function connectTo(
	{directoryUrl, ca}: Pick<Pebble, 'directoryUrl'> & {ca?: string},
	timeout = 60_000,
	between: (http: AcmeHttp) => AcmeHttp = http => http,
): AcmeConnection {
	const agents = new TlsAgents();
	const trust = new TrustStores(
		ca === undefined
			? []
			: [
					{
						patterns: [parsePattern('https://localhost:*')],
						files: [ca],
						only: true,
						crl: 'check',
						source: 'test',
					},
				],
	);
	onTestFinished(() => agents.close());
	const http = between(new DirectHttpClient(trust, agents, {timeout: 10_000}));
	return new AcmeConnection({directoryUrl, http, userAgent: 'gatepass-tests', timeout});
}

export async function accountAt(connection: AcmeConnection, key = AccountKey.generate()): Promise<Account> {
	return registerAccount(connection, key, {email: 'tests@example.org', termsOfService: () => true});
}
