/**
 * What real servers were seen to do: each done here by pebble itself, or to its answers on their way. certbot and others
 * were tripped up by it.
 */
import {createHash, X509Certificate} from 'node:crypto';
import {expect, test} from 'vitest';
import {
	changeAccountKey,
	findAccount,
	registerAccount,
	updateAccount,
} from '../../../src/issuers/acme/account.ts';
import type {Authenticator} from '../../../src/issuers/acme/authenticators/authenticator.ts';
import {StandaloneAuthenticator} from '../../../src/issuers/acme/authenticators/http-01.ts';
import {generateCertificateKey, identifierOf} from '../../../src/issuers/acme/certificate-request.ts';
import type {AcmeConnection, AcmeHttp} from '../../../src/issuers/acme/connection.ts';
import {AccountKey} from '../../../src/issuers/acme/jws.ts';
import {type ObtainSettings, obtainCertificate} from '../../../src/issuers/acme/obtain.ts';
import {type Authorization, Orders} from '../../../src/issuers/acme/order.ts';
import {describeWith} from '../../servers/availability.ts';
import {boundAccount, nextPebble, type Pebble, pebble, twoProfiles} from '../../servers/pebble.ts';
import {accountAt, connectTo, pebbleFor} from './stage.ts';

type Answer = Awaited<ReturnType<AcmeHttp['fetch']>>;
type Request = Parameters<AcmeHttp['fetch']>[1];

/** A connection on which each answer may be changed. */
function changing(
	server: Pebble,
	change: (url: string, request: Request, answer: () => Promise<Answer>) => Promise<Answer>,
): AcmeConnection {
	return connectTo(server, 60_000, http => ({
		fetch: (url, request) => change(url, request, () => http.fetch(url, request)),
	}));
}

/** The payload of a signed request. */
function payloadOf({body}: Request): Record<string, unknown> {
	const {payload = ''} = body === undefined ? {} : JSON.parse(body);
	return payload === '' ? {} : JSON.parse(Buffer.from(payload, 'base64url').toString());
}

function withoutHeader({status, headers, text}: Answer, name: string): Answer {
	const get = (wanted: string): string | null => (wanted.toLowerCase() === name ? null : headers.get(wanted));
	return {status, headers: {get}, text};
}

async function withBody(answer: Answer, change: (body: never) => unknown): Promise<Answer> {
	const body = change(JSON.parse(await answer.text()) as never);
	return {status: answer.status, headers: answer.headers, text: async () => JSON.stringify(body)};
}

function settingsFor(server: Pebble, domains: readonly string[]): ObtainSettings {
	return {
		identifiers: domains.map(identifierOf),
		key: generateCertificateKey(),
		authenticators: [new StandaloneAuthenticator({address: '127.0.0.1', port: server.httpPort})],
	};
}

/** Fails the test where it is asked for anything. */
const nobody: Authenticator = {
	name: 'nobody',
	challenges: ['http-01'],
	perform: () => Promise.reject(new Error('no challenge was to be answered')),
};

describeWith(pebble, 'a server', () => {
	test('that demands a User-Agent gets one with each request', async () => {
		const server = await pebbleFor();
		const agents = new Set<string | undefined>();
		const connection = changing(server, (_, {headers}, answer) => {
			agents.add(headers['user-agent']);
			return answer();
		});
		await obtainCertificate(connection, await accountAt(connection), settingsFor(server, ['a.example.test']));
		expect(agents).toEqual(new Set(['gatepass-tests']));
	});

	test('that says nowhere again where the order is, once it is made', async () => {
		const server = await pebbleFor();
		let finalized = 0;
		const connection = changing(server, async (url, {method}, answer) => {
			if (method !== 'POST' || !/\/(?:finalize-order|my-order)\//.test(url)) return answer();
			finalized += 1;
			return withoutHeader(await answer(), 'location');
		});
		const settings = settingsFor(server, ['a.example.test']);
		const {certificate} = await obtainCertificate(connection, await accountAt(connection), settings);
		expect(new X509Certificate(certificate).subjectAltName).toBe('DNS:a.example.test');
		expect(finalized).toBeGreaterThan(1);
	});

	test('whose order is ready when it is made: no challenge is answered', async () => {
		const server = await pebbleFor({authorizationReuse: 100});
		const connection = connectTo(server);
		const account = await accountAt(connection);
		await obtainCertificate(connection, account, settingsFor(server, ['a.example.test']));
		const states: string[] = [];
		const {certificate} = await obtainCertificate(connection, account, {
			...settingsFor(server, ['a.example.test']),
			authenticators: [nobody],
			onOrder: ({status}) => void states.push(status),
		});
		expect(states).toEqual(['ready']);
		expect(new X509Certificate(certificate).subjectAltName).toBe('DNS:a.example.test');
	});

	test('whose order was deactivated meanwhile: another one is made', async () => {
		const server = await pebbleFor();
		const connection = connectTo(server);
		const account = await accountAt(connection);
		const orders = new Orders(connection, account);
		const settings = settingsFor(server, ['a.example.test']);
		const begun = await orders.create(settings);
		const [authorization] = await orders.authorizations(begun);
		await orders.deactivate(authorization as Authorization);
		expect((await orders.resume(begun.url)).status).toBe('deactivated');
		const made: string[] = [];
		await obtainCertificate(connection, account, {
			...settings,
			resume: begun.url,
			onOrder: ({url}) => void made.push(url),
		});
		expect(made).toHaveLength(1);
		expect(made).not.toContain(begun.url);
	});

	test('with challenges of unknown kinds, some without a token, before the known ones', async () => {
		const server = await pebbleFor();
		const strange = [
			{type: 'x-unheard-of-01', status: 'pending', url: 'https://localhost/x'},
			{type: 'http-01', status: 'pending', url: 'https://localhost/no-token'},
			{type: 'device-attest-01', status: 'pending', url: 'https://localhost/y', token: 'abc', extra: {}},
		];
		let seen = 0;
		const connection = changing(server, async (url, _, answer) => {
			if (!url.includes('/authZ/')) return answer();
			seen += 1;
			return withBody(await answer(), (body: Authorization) => ({
				...body,
				challenges: [...strange, ...body.challenges.toReversed()],
			}));
		});
		const settings = settingsFor(server, ['a.example.test']);
		const {certificate} = await obtainCertificate(connection, await accountAt(connection), settings);
		expect(new X509Certificate(certificate).subjectAltName).toBe('DNS:a.example.test');
		expect(seen).toBeGreaterThan(1);
	});

	test('whose authorizations for a name and its wildcard differ in one word alone', async () => {
		const server = await pebbleFor();
		const connection = connectTo(server);
		const account = await accountAt(connection);
		const values = new Set<string>();
		const asked: boolean[] = [];
		const {certificate} = await obtainCertificate(connection, account, {
			...settingsFor(server, ['a.example.test', '*.a.example.test']),
			authenticators: [
				{
					name: 'test',
					challenges: ['dns-01'],
					async perform({domain, keyAuthorization, wildcard}) {
						const value = createHash('sha256').update(keyAuthorization).digest('base64url');
						const host = `_acme-challenge.${domain}.`;
						asked.push(wildcard);
						values.add(value);
						await server.dns('set-txt', {host, value});
						return async () => {};
					},
				},
			],
		});
		expect(asked.toSorted()).toEqual([false, true]);
		expect(values.size).toBe(2);
		const names = new X509Certificate(certificate).subjectAltName?.split(', ').toSorted();
		expect(names).toEqual(['DNS:*.a.example.test', 'DNS:a.example.test']);
	});

	test('that offers other chains is asked for as many as have to be looked at', async () => {
		const server = await pebbleFor({alternateRoots: 2, nonceReject: 0});
		let fetched = 0;
		const connection = changing(server, (url, _, answer) => {
			if (url.includes('/certZ/')) fetched += 1;
			return answer();
		});
		const account = await accountAt(connection);
		const root = async (index: number): Promise<string> =>
			new X509Certificate(await server.root(index)).subject.replace('CN=', '');
		for (const [preferredChain, count] of [
			[undefined, 1],
			[await root(0), 1],
			[await root(1), 2],
			['nobody', 3],
		] as const) {
			fetched = 0;
			await obtainCertificate(connection, account, {
				...settingsFor(server, ['a.example.test']),
				preferredChain,
			});
			expect({preferredChain, fetched}).toEqual({preferredChain, fetched: count});
		}
	});

	test('that answers yes to a change of key, and changes nothing: the account keeps its own', async () => {
		const server = await pebbleFor();
		const account = await accountAt(connectTo(server));
		let asked = 0;
		const connection = changing(server, async (url, _, answer) => {
			if (!url.includes('rollover')) return answer();
			asked += 1;
			return {status: 200, headers: new Headers(), text: async () => ''};
		});
		const newKey = AccountKey.generate();
		await expect(changeAccountKey(connection, account, newKey)).rejects.toMatchObject({
			message: expect.stringContaining('said that it took the new key, but does not know it'),
			diagnostics: [{code: 'acme-key-change-failed'}],
		});
		expect(asked).toBe(1);
		await updateAccount(connection, account, {email: 'still@example.org'});
	});

	test('that binds accounts is sent the binding once, and never for an account that is there', async () => {
		const server = await pebbleFor({demandsBinding: true});
		const sent: boolean[] = [];
		const connection = changing(server, (url, request, answer) => {
			if (url.includes('sign-me-up')) sent.push('externalAccountBinding' in payloadOf(request));
			return answer();
		});
		const key = AccountKey.generate();
		const registration = {termsOfService: () => true, externalAccountBinding: boundAccount};
		const {accountUrl} = await registerAccount(connection, key, registration);
		expect(sent.filter(Boolean).length).toBeGreaterThan(0);
		sent.length = 0;
		expect(await registerAccount(connection, key, registration)).toMatchObject({accountUrl});
		expect(sent.length).toBeGreaterThan(0);
		expect(sent).not.toContain(true);
		expect((await findAccount(connection, key))?.accountUrl).toBe(accountUrl);
	});
});

describeWith([pebble, nextPebble], 'a server with profiles', () => {
	test('is not asked for one that nobody named: which one it takes is its own choice', async () => {
		const server = await pebbleFor({program: 'pebble-next', more: twoProfiles});
		const orders: Record<string, unknown>[] = [];
		const connection = changing(server, (url, request, answer) => {
			if (url.includes('order-plz')) orders.push(payloadOf(request));
			return answer();
		});
		const profiles: (string | undefined)[] = [];
		const account = await accountAt(connection);
		for (const profile of [undefined, 'shortlived']) {
			await obtainCertificate(connection, account, {
				...settingsFor(server, ['a.example.test']),
				profile,
				onOrder: order => void profiles.push(order.profile),
			});
		}
		expect(orders.map(({profile}) => profile).filter(Boolean)).toContain('shortlived');
		expect(orders[0]).not.toHaveProperty('profile');
		expect(Object.keys(twoProfiles.profiles)).toContain(profiles[0]);
		expect(profiles[1]).toBe('shortlived');
	});
});
