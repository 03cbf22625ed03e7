/** What goes wrong on the way to a certificate: between a manager and pebble, and on the disk. The one in use stays in use. */
import {createPrivateKey, X509Certificate} from 'node:crypto';
import {readFile, rm, symlink, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import type {AcmeHttp} from '../../src/issuers/acme/connection.ts';
import {connectTo, pebbleFor} from '../issuers/acme/stage.ts';
import {describeWith} from '../servers/availability.ts';
import {pebble} from '../servers/pebble.ts';
import {managerAt, type Stage} from './stage.ts';

type Response = Awaited<ReturnType<AcmeHttp['fetch']>>;

/** What comes instead of the answer to a request; `undefined`: the server's own. */
type Fault = (url: string, answer: () => Promise<Response>) => Promise<Response | undefined> | undefined;

/** With a certificate; what is between it and the server from then on is `fault`. */
async function stage(): Promise<
	Stage & {
		/** @param timeout milliseconds for one request with all its tries. */
		meet(fault: Fault, timeout?: number): void;
		serial(): Promise<string>;
	}
> {
	const server = await pebbleFor({nonceReject: 0});
	const made = await managerAt(server);
	await made.manager.enroll(['a.example.test']);
	return {
		...made,
		meet(fault, timeout = 60_000) {
			const between = (http: AcmeHttp): AcmeHttp => ({
				async fetch(url, init) {
					const answer = (): Promise<Response> => http.fetch(url, init);
					return (await fault(String(url), answer)) ?? answer();
				},
			});
			made.parts.connect = directoryUrl => connectTo({directoryUrl, ca: server.ca}, timeout, between);
		},
		serial: async () =>
			new X509Certificate(await readFile(join(made.folder, 'live/a.example.test/cert.pem'))).serialNumber,
	};
}

const problem = (status: number, type: string, headers: Record<string, string> = {}): Response =>
	new globalThis.Response(
		JSON.stringify({type: `urn:ietf:params:acme:error:${type}`, detail: 'from the test'}),
		{
			status,
			headers: {'content-type': 'application/problem+json', ...headers},
		},
	);

/** PEM certificates of an answer. */
const blocks = (text: string): string[] =>
	text.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n?/g) ?? [];

async function changed(answer: Response, change: (certificates: string[]) => string[]): Promise<Response> {
	const {status, headers} = answer;
	const body = change(blocks(await answer.text())).join('\n');
	return {status, headers, text: async () => body};
}

describeWith(pebble, 'between a manager and its authority', () => {
	test('each request that is answered with 500 once is sent again', async () => {
		const {manager, serial, meet} = await stage();
		const before = await serial();
		const failed = new Set<string>();
		meet(async url => {
			if (!/order|finalize|chal|authZ/i.test(url) || failed.has(url)) return undefined;
			failed.add(url);
			return problem(500, 'serverInternal');
		});
		expect(await manager.renew({force: true})).toMatchObject({renewed: ['a.example.test'], failed: []});
		expect(failed.size).toBeGreaterThan(3);
		expect(await serial()).not.toBe(before);
	});

	test('a directory and a nonce that are answered with 500 once are asked for again', async () => {
		const {manager, meet} = await stage();
		const failed = new Set<string>();
		meet(url => {
			if (!/\/dir$|nonce/.test(url) || failed.has(url)) return undefined;
			failed.add(url);
			return Promise.resolve(problem(500, 'serverInternal'));
		});
		expect(await manager.renew({force: true})).toMatchObject({renewed: ['a.example.test'], failed: []});
		expect(failed.size).toBe(2);
	});

	test('a server that does not know at once that an order is ready is asked until it does', async () => {
		const {manager, meet} = await stage();
		let refused = 0;
		meet(url => {
			if (!/finalize/.test(url) || refused > 0) return undefined;
			refused += 1;
			return Promise.resolve(problem(403, 'orderNotReady'));
		});
		expect(await manager.renew({force: true})).toMatchObject({renewed: ['a.example.test'], failed: []});
		expect(refused).toBe(1);
	});

	test('an authority whose profile takes RSA only gets it, and that is told', async () => {
		const {manager, meet} = await stage();
		let refused = 0;
		meet(url => {
			if (!/finalize/.test(url) || refused > 0) return undefined;
			refused += 1;
			return Promise.resolve(problem(400, 'badPublicKey'));
		});
		const told: (string | undefined)[] = [];
		const enrolled = await manager.enroll(['rsa.example.test'], undefined, {
			onProgress: ({detail}) => told.push(detail),
		});
		const key = createPrivateKey(await readFile(enrolled?.paths.privkey as string));
		expect(key.asymmetricKeyType).toBe('rsa');
		expect(told).toContain('the authority takes no ECDSA key; trying RSA');
	});

	test('a limit is told with the time until when, and heeded by the next runs', async () => {
		const {manager, folder, serial, meet} = await stage();
		const before = await serial();
		meet(async url =>
			/order-plz|new-order/i.test(url) ? problem(429, 'rateLimited', {'retry-after': '7200'}) : undefined,
		);
		const started = Date.now();
		const {failed} = await manager.renew({force: true});
		expect(failed[0]?.error.message).toMatch(/rateLimited.*Ask again after 20\d\d-/s);
		const text = await readFile(join(folder, 'renewal/a.example.test.conf'), 'utf8');
		const next = Date.parse(/next_attempt = (.*)/.exec(text)?.[1] ?? '');
		expect(next).toBeGreaterThanOrEqual(started + 7_200_000);
		expect(await manager.renew()).toMatchObject({skipped: ['a.example.test']});
		expect(await serial()).toBe(before);
	});

	test('a server that hangs is given up, and the certificate stays', async () => {
		const {manager, serial, meet} = await stage();
		const before = await serial();
		const timeout = 2000;
		meet(
			url =>
				/order|finalize/i.test(url)
					? new Promise<Response>((_, reject) => setTimeout(() => reject(new Error('gone')), 2 * timeout))
					: undefined,
			timeout,
		);
		const {failed} = await manager.renew({force: true});
		expect(failed[0]?.error.message).toMatch(/cannot be reached/);
		expect(await serial()).toBe(before);
	});

	test('an order goes on after the server was gone before it was finalized', async () => {
		const {manager, folder, serial, meet} = await stage();
		const before = await serial();
		meet(async url => (/finalize/i.test(url) ? Promise.reject(new Error('ECONNRESET')) : undefined), 5000);
		expect((await manager.renew({force: true})).failed).toHaveLength(1);
		const pending = JSON.parse(await readFile(join(folder, 'gatepass/pending/a.example.test.json'), 'utf8'));
		const created: string[] = [];
		meet(async url => {
			if (/order-plz|new-order/i.test(url)) created.push(url);
			return undefined;
		});
		expect(await manager.renew({force: true})).toMatchObject({renewed: ['a.example.test'], failed: []});
		// The same order, with the same key.
		expect(created).toEqual([]);
		expect(await readFile(join(folder, 'live/a.example.test/privkey.pem'), 'utf8')).toBe(pending.privkey);
		expect(await serial()).not.toBe(before);
	});

	test('a certificate for another key is refused', async () => {
		const {manager, folder, serial, meet} = await stage();
		const before = await serial();
		const other = await readFile(join(folder, 'live/a.example.test/cert.pem'), 'utf8');
		meet(async (url, answer) =>
			/certZ/i.test(url) ? changed(await answer(), ([, ...rest]) => [other, ...rest]) : undefined,
		);
		const {failed} = await manager.renew({force: true});
		expect(failed[0]?.error).toMatchObject({diagnostics: [{code: 'acme-certificate-for-another-key'}]});
		expect(await serial()).toBe(before);
	});

	test('a chain that is out of order is put in order', async () => {
		const {manager, folder, meet} = await stage();
		meet(async (url, answer) =>
			/certZ/i.test(url) ? changed(await answer(), certificates => certificates.reverse()) : undefined,
		);
		expect(await manager.renew({force: true})).toMatchObject({renewed: ['a.example.test'], failed: []});
		const chain = blocks(await readFile(join(folder, 'live/a.example.test/fullchain.pem'), 'utf8'));
		const [leaf, issuer] = chain.map(pem => new X509Certificate(pem));
		expect(leaf?.subjectAltName).toBe('DNS:a.example.test');
		expect(leaf?.checkIssued(issuer as X509Certificate)).toBe(true);
	});
});

describeWith(pebble, 'a certificate that somebody edited by hand', () => {
	test('a pair that is mixed, or a file that is missing, is told and never written over', async () => {
		const {manager, folder} = await stage();
		await manager.renew({force: true});
		const live = join(folder, 'live/a.example.test');
		// The key of the version before.
		await rm(join(live, 'privkey.pem'));
		await symlink('../../archive/a.example.test/privkey1.pem', join(live, 'privkey.pem'));
		expect((await manager.list())[0]?.warnings).toEqual([expect.stringMatching(/is not the key of/)]);
		const keys = ['privkey1.pem', 'privkey2.pem'].map(file => join(folder, 'archive/a.example.test', file));
		const before = await Promise.all(keys.map(file => readFile(file, 'utf8')));
		await manager.renew({force: true});
		expect(await Promise.all(keys.map(file => readFile(file, 'utf8')))).toEqual(before);
		await rm(join(folder, 'live/a.example.test/chain.pem'), {force: true});
		expect(await manager.list()).toHaveLength(1);
	});

	test('settings that are malformed are told with their line, and keep no other from being renewed', async () => {
		const {manager, folder} = await stage();
		await manager.enroll(['b.example.test']);
		await writeFile(join(folder, 'renewal/a.example.test.conf'), 'version = 2.1.0\nnonsense\n');
		const {renewed, failed} = await manager.renew({force: true});
		expect(renewed).toEqual(['b.example.test']);
		expect(failed[0]?.error.message).toMatch(/a\.example\.test\.conf:2: this is neither/);
	});
});
