/** `grid-certificate` against Apache with `SSLVerifyClient require`: who is let in, who is not, and what the user reads. */
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {CertificateError, createGatepass, type Gatepass} from '../src/index.ts';
import type {CertificateFiles} from '../src/testing/authority.ts';
import {type ApacheWithUsers, apache, startApacheMtls, type TlsVersion} from './servers/apache.ts';
import {describeWith} from './servers/availability.ts';

describeWith(apache, 'Apache with SSLVerifyClient require', () => {
	let server: ApacheWithUsers;
	const open: Gatepass[] = [];

	beforeAll(async () => {
		server = await startApacheMtls();
	});
	afterAll(async () => {
		await Promise.all(open.map(gatepass => gatepass.close()));
		await server?.close();
	});

	/** A gatepass with one rule for each path and the identity to show there. */
	async function gatepassWith(
		version: TlsVersion,
		identities: Readonly<Record<string, CertificateFiles>>,
		trust = server.ca,
	): Promise<Gatepass> {
		const gatepass = await createGatepass({
			config: {
				cache: {url: 'memory:'},
				trust: [{match: server.urls[version], ca: trust, only: true}],
				hostRules: Object.entries(identities).map(([path, files]) => ({
					match: server.urls[version] + path,
					strategy: 'grid-certificate',
					options: {...files},
				})),
			},
		});
		open.push(gatepass);
		return gatepass;
	}

	async function failureOf(request: PromiseLike<unknown>): Promise<CertificateError> {
		const error = await Promise.resolve(request).then(
			() => undefined,
			(failure: unknown) => failure,
		);
		expect(error).toBeInstanceOf(CertificateError);
		return error as CertificateError;
	}

	describe.each<TlsVersion>(['TLSv1.3', 'TLSv1.2'])('over %s', version => {
		test('a certificate that it accepts reaches the page, under its own subject', async () => {
			const gatepass = await gatepassWith(version, {'/': server.users.alice});
			const response = await gatepass.got(`${server.urls[version]}/page`);
			expect(response.statusCode).toBe(200);
			expect(response.body).toBe('served by Apache\n');
			expect(response.headers['x-client-dn']).toBe('CN=alice,OU=Users,O=Gatepass');
			expect(response.headers['x-protocol']).toBe(version);
		});

		test('what Apache lets Alice alone see, Bob is denied in HTTP', async () => {
			const {alice, bob} = server.users;
			const gatepass = await gatepassWith(version, {'/alice': alice, '/alice/as-bob': bob});
			const answer = await gatepass.got(`${server.urls[version]}/alice/page`);
			expect(answer.statusCode).toBe(200);
			await expect(gatepass.got(`${server.urls[version]}/alice/as-bob`)).rejects.toMatchObject({
				name: 'HTTPError',
				response: {statusCode: 403, headers: {'x-client-dn': 'CN=bob,OU=Users,O=Gatepass'}},
			});
		});

		test('without a certificate the error names the host and says what to do', async () => {
			const gatepass = await gatepassWith(version, {});
			const error = await failureOf(gatepass.got(server.urls[version], {retry: {limit: 0}}));
			expect(error.message).toContain(new URL(server.urls[version]).host);
			expect(error.message).toContain('no client certificate was shown');
			expect(error.message).toContain("'grid-certificate'");
		});

		test.for(['revoked', 'foreign'] as const)(
			'a %s certificate is refused, and named',
			async (user, context) => {
				const files = server.users[user];
				const gatepass = await gatepassWith(version, {'/': files});
				const error = await failureOf(gatepass.got(server.urls[version], {retry: {limit: 0}}));
				context.expect(error.message).toContain(new URL(server.urls[version]).host);
				context.expect(error.message).toContain(files.certificate);
				context.expect(error.cause).toBeInstanceOf(Error);
			},
		);

		test('a server that nobody vouches for is not talked to, and the CA file is named', async () => {
			const foreignCa = server.users.foreign.certificate.replace('foreign.pem', 'ca.pem');
			const gatepass = await gatepassWith(version, {'/': server.users.alice}, foreignCa);
			const before = await server.requests();
			const error = await failureOf(gatepass.got(server.urls[version], {retry: {limit: 0}}));
			expect(error.message).toContain(new URL(server.urls[version]).host);
			expect(error.message).toContain(foreignCa);
			expect(error.message).toContain('cannot be trusted');
			expect(await server.requests()).toBe(before);
		});

		test('connections are reused: a handshake for each socket, not for each request', async () => {
			const gatepass = await gatepassWith(version, {'/': server.users.alice});
			const {url, ports} = {url: server.urls[version], ports: new Set<string>()};
			const before = (await server.handshakes()).length;
			const send = async (path: string): Promise<void> => {
				const {headers} = await gatepass.got(url + path);
				ports.add(String(headers['x-client-port']));
			};
			const handshakesOfThese = async (): Promise<number> => (await server.handshakes()).slice(before).length;

			for (let request = 0; request < 10; request++) await send(`/one-by-one/${request}`);
			expect(ports.size).toBe(1);
			expect(await handshakesOfThese()).toBe(1);
			for (let round = 0; round < 3; round++) {
				await Promise.all(Array.from({length: 5}, (_, request) => send(`/at-once/${round}/${request}`)));
			}
			expect(ports.size).toBeLessThanOrEqual(5);
			expect(await handshakesOfThese()).toBe(ports.size);
		});

		test('two identities on one host stay apart, side by side', async () => {
			const {alice, bob} = server.users;
			const gatepass = await gatepassWith(version, {'/alice': alice, '/bob': bob});
			const names = Array.from({length: 40}, (_, request) => (request % 2 === 0 ? 'alice' : 'bob'));
			const answers = await Promise.all(
				names.map(name => gatepass.got(`${server.urls[version]}/${name}/page`)),
			);
			expect(answers.map(({headers}) => headers['x-client-dn'])).toEqual(
				names.map(name => `CN=${name},OU=Users,O=Gatepass`),
			);
			// And one after the other, when sockets of both lie ready to be reused.
			for (const name of names.slice(0, 6)) {
				const {headers} = await gatepass.got(`${server.urls[version]}/${name}/again`);
				expect(headers['x-client-dn']).toBe(`CN=${name},OU=Users,O=Gatepass`);
			}
		});
	});
});
