/** No ticket, token, key or password of Kerberos is in any event, log line or error, nor on got's own channels. */
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {pino} from 'pino';
import {onTestFinished, test} from 'vitest';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {startMeddler} from '../strategies/kerberos-meddler.ts';
import {libraries, useRealm} from '../strategies/kerberos-setup.ts';
import {findSecrets} from '../transports/find-secrets.ts';
import {eventNames, listenTo} from './setup.ts';

const gotChannels = ['create', 'start', 'retry', 'error'].map(name => `got:request:${name}`);
const wrongPassword = 'CANARY-of-a-wrong-password';

describeWith([mitKdc, apacheNegotiate], 'what is told of Kerberos', () => {
	const realm = useRealm();

	test.for(libraries)('holds no secret, over %s', async (library, {expect}) => {
		const {kdc} = realm;
		const principal = `alice@${kdc.realm}`;
		const tokens = new Set<string>();
		const meddler = await startMeddler(realm.url('http', ''), (answer, authorization) => {
			if (authorization === undefined) return;
			tokens.add(authorization.slice('Negotiate '.length));
			const what = meddler.requests.at(-1)?.url ?? '';
			if (what.endsWith('/401')) Object.assign(answer, {status: 401});
			if (what.endsWith('/500')) Object.assign(answer, {status: 500});
			if (what.endsWith('/redirect'))
				Object.assign(answer, {status: 302, headers: {...answer.headers, location: 'wrong'}});
			if (what.endsWith('/wrong')) answer.headers['www-authenticate'] = 'Negotiate Z2FyYmFnZQ==';
			if (what.endsWith('/none')) delete answer.headers['www-authenticate'];
		});
		onTestFinished(() => meddler.close());
		const url = meddler.url.replace('127.0.0.1', 'localhost');
		const rules: Record<string, Record<string, unknown>> = {
			cache: {credentialCache: await kdc.ticket({forwardable: true})},
			preemptive: {credentialCache: await kdc.ticket(), preemptive: true},
			keytab: {keytab: kdc.keytabs.alice, principal},
			password: {password: kdc.password, principal},
			'wrong-password': {password: wrongPassword, principal},
			'unknown-service': {credentialCache: await kdc.ticket(), hostname: 'nowhere.localhost'},
			'no-ticket': {credentialCache: join(kdc.folder, 'none')},
		};
		const lines: string[] = [];
		const events = listenTo([...eventNames, ...gotChannels]);
		const gatepass: Gatepass = await createGatepass({
			config: {
				cache: {url: 'memory:'},
				hostRules: Object.entries(rules).map(([name, options]) => ({
					match: `${url}/negotiate/${name}`,
					strategy: 'kerberos',
					options: {library, ...options},
				})),
			},
			logger: pino({level: 'trace'}, {write: line => void lines.push(line)}),
		});
		onTestFinished(() => gatepass.close());
		const errors: unknown[] = [];
		for (const name of Object.keys(rules)) {
			for (const what of ['200', '401', '500', 'redirect', 'wrong', 'none']) {
				const request = gatepass.got(`${url}/negotiate/${name}/${what}`, {retry: {limit: 0}});
				await request.catch((error: unknown) => errors.push(error));
			}
			await gatepass.authorize(`${url}/negotiate/${name}`).catch((error: unknown) => errors.push(error));
		}
		const statuses = await gatepass.status({verify: true});

		// Otherwise the rest would prove nothing.
		expect(tokens.size).toBeGreaterThan(20);
		expect(errors.length).toBeGreaterThan(20);
		expect(lines.length).toBeGreaterThan(20);
		expect(events.filter(({name}) => name === 'gatepass:request').length).toBeGreaterThan(20);
		expect(statuses.filter(({available}) => available)).toHaveLength(4);

		const keys = await keysIn(kdc.keytabs.alice);
		// The first bytes of tokens are the same for all; what comes then names the ticket.
		const secrets = [wrongPassword, kdc.password, ...keys, ...[...tokens].map(token => token.slice(-40))];
		for (const {name, payload} of events) {
			expect([name, ...findSecrets(payload, secrets)]).toEqual([name]);
		}
		for (const line of lines)
			expect(
				secrets.filter(secret => line.includes(secret)),
				line,
			).toEqual([]);
		for (const error of errors) expect(findSecrets(error, secrets)).toEqual([]);
		expect(findSecrets(statuses, secrets)).toEqual([]);
	});
});

/** The bytes of a key table from its end, where its last key is, as text may show them. */
async function keysIn(keytab: string): Promise<string[]> {
	const last = (await readFile(keytab)).subarray(-24, -8);
	return [last.toString('latin1'), last.toString('hex'), last.toString('base64').slice(0, 20)];
}
