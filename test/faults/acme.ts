/** Orders at an ACME server: pebble, or one that answers as an authority does whose limits pebble has not. */
import got from 'got';
import {parsePattern} from '../../src/host-rules/pattern.ts';
import {GotHttpClient} from '../../src/http/http-client.ts';
import {registerAccount} from '../../src/issuers/acme/account.ts';
import {StandaloneAuthenticator} from '../../src/issuers/acme/authenticators/http-01.ts';
import {generateCertificateKey, identifierOf} from '../../src/issuers/acme/certificate-request.ts';
import {AcmeConnection} from '../../src/issuers/acme/connection.ts';
import {AccountKey} from '../../src/issuers/acme/jws.ts';
import {type ObtainSettings, obtainCertificate} from '../../src/issuers/acme/obtain.ts';
import {answerJson, startServer} from '../../src/testing/server.ts';
import {TlsAgents} from '../../src/tls/agents.ts';
import {TrustStores} from '../../src/trust/trust-stores.ts';
import type {Pebble} from '../servers/pebble.ts';
import type {Stage} from './harness.ts';

/** Order a certificate for names, by http-01 unless the settings say otherwise. */
export async function order(
	stage: Stage,
	server: Pick<Pebble, 'directoryUrl' | 'httpPort'> & {readonly ca?: string},
	names: readonly string[],
	settings: Partial<ObtainSettings> = {},
): Promise<unknown> {
	const agents = stage.ended(new TlsAgents());
	const patterns = [parsePattern('https://localhost:*')];
	const {ca} = server;
	const entries =
		ca === undefined ? [] : [{patterns, files: [ca], only: true, crl: 'check' as const, source: 'test'}];
	const trust = new TrustStores(entries);
	const http = new GotHttpClient(async () => got, trust, agents, {timeout: 10_000, retries: 0});
	const connection = new AcmeConnection({
		directoryUrl: server.directoryUrl,
		http,
		userAgent: 'gatepass-tests',
		timeout: 30_000,
	});
	const contact = {email: 'tests@example.org', termsOfService: () => true};
	const account = await registerAccount(connection, AccountKey.generate(), contact);
	return obtainCertificate(connection, account, {
		identifiers: names.map(identifierOf),
		key: generateCertificateKey(),
		authenticators: [new StandaloneAuthenticator({address: '127.0.0.1', port: server.httpPort})],
		...settings,
	});
}

/** A server that takes every account and refuses every order in this way (RFC 8555 section 6.7). */
export async function startRefusing(
	stage: Stage,
	problem: {readonly type: string; readonly detail: string},
	{status = 403, retryAfter}: {status?: number; retryAfter?: string} = {},
): Promise<{directoryUrl: string; httpPort: number}> {
	let nonces = 0;
	const server = stage.ended(
		await startServer(({url}, response) => {
			nonces += 1;
			const own = {'replay-nonce': `nonce-${nonces}`};
			const at = (path: string): string => `http://${'127.0.0.1'}:${new URL(server.url).port}${path}`;
			if (url === '/directory') {
				const [newNonce, newAccount, newOrder] = ['/nonce', '/account', '/order'].map(at);
				answerJson(response, 200, {
					newNonce,
					newAccount,
					newOrder,
					revokeCert: at('/revoke'),
					keyChange: at('/key'),
				});
			} else if (url === '/account')
				answerJson(response, 201, {status: 'valid'}, {...own, location: at('/account/1')});
			else if (url === '/order') {
				const type = `urn:ietf:params:acme:error:${problem.type}`;
				const wait = retryAfter === undefined ? {} : {'retry-after': retryAfter};
				answerJson(
					response,
					status,
					{...problem, type},
					{...own, ...wait, 'content-type': 'application/problem+json'},
				);
			} else response.writeHead(200, own).end();
		}),
	);
	return {directoryUrl: `${server.url}/directory`, httpPort: 0};
}
