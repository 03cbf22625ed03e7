/** What becomes of connections when a certificate is renewed: seen from a server that demands one. */
import {copyFileSync, mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {createServer, type Server} from 'node:https';
import type {AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {TLSSocket} from 'node:tls';
import {setFlagsFromString} from 'node:v8';
import {runInNewContext} from 'node:vm';
import {afterAll, afterEach, beforeAll, beforeEach, expect, test, vi} from 'vitest';
import {z} from 'zod';
import {createGatepass, defineStrategy, type Gatepass, type Identity} from '../../src/index.ts';
import {type CertificateFiles, createTestAuthority, type TestAuthority} from '../../src/testing/index.ts';
import {commonNameOf} from '../servers/common-name.ts';

let authority: TestAuthority;
let server: Server;
let origin: string;
let folder: string;
let gatepass: Gatepass;
const people = new Map<string, CertificateFiles>();
/** Connections that are open, by the name that they show. */
const open = new Map<TLSSocket, string>();
/** Answers that wait to be let go, by path. */
const waiting = new Map<string, () => void>();

/** What the strategy `slow` did: the identities that it was given, and what lets it go on. */
let given: WeakRef<Identity>[] = [];
let beforeUse: (() => Promise<void>) | undefined;

const SlowStrategy = defineStrategy({
	name: 'slow',
	options: z.strictObject({certificate: z.string(), key: z.string(), owner: z.string().optional()}),
	async *authenticate(request, {options: {owner, ...source}, identities}) {
		const identity = await identities.load(source);
		request.connectionOwner = owner;
		given.push(new WeakRef(identity));
		await beforeUse?.();
		request.identity = identity;
		yield;
	},
});

beforeAll(async () => {
	authority = await createTestAuthority();
	for (const name of ['alice', 'bob']) people.set(name, await authority.issue(name, {subject: `CN=${name}`}));
	const own = await authority.issue('server', {subject: 'CN=localhost', hosts: ['127.0.0.1']});
	const [cert, key, ca] = [own.certificate, own.key, authority.ca].map(file => readFileSync(file));
	server = createServer({cert, key, ca, requestCert: true}, async (request, response) => {
		if (request.url?.includes('wait')) {
			await new Promise<void>(resolve => waiting.set(request.url as string, resolve));
		}
		response.end(open.get(request.socket as TLSSocket));
	});
	server.on('secureConnection', socket => {
		open.set(socket, String(commonNameOf(socket)));
		socket.once('close', () => open.delete(socket));
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
	await new Promise(resolve => server.close(resolve));
	await authority.close();
});

beforeEach(async () => {
	folder = mkdtempSync(join(tmpdir(), 'gatepass-renewed-'));
	vi.useFakeTimers({toFake: ['Date'], now: Date.now()});
	given = [];
	beforeUse = undefined;
	put('alice');
	const options = {certificate: 'cert.pem', key: 'key.pem'};
	gatepass = await createGatepass({
		cwd: folder,
		env: {},
		strategies: [SlowStrategy],
		config: {
			cache: {url: 'memory:'},
			trust: [{match: origin, ca: authority.ca, only: true}],
			hostRules: [
				{match: origin, strategy: 'grid-certificate', options},
				{match: `${origin}/slow`, strategy: 'slow', options},
				{match: `${origin}/owned`, strategy: 'slow', options: {...options, owner: 'somebody'}},
			],
		},
	});
});
afterEach(async () => {
	await gatepass.close();
	vi.useRealTimers();
	rmSync(folder, {recursive: true, force: true});
	await expect.poll(() => open.size).toBe(0);
});

/** Put somebody's files in the place of those before. */
function put(name: string): void {
	const {certificate, key} = people.get(name) as CertificateFiles;
	copyFileSync(certificate, join(folder, 'cert.pem'));
	copyFileSync(key, join(folder, 'key.pem'));
}

function renew(name: string): void {
	put(name);
	vi.setSystemTime(Date.now() + 1000);
}

/** Wait until garbage collection has left no more than `most` of the identities that were given out. */
async function untilAlive(most: number): Promise<void> {
	setFlagsFromString('--expose-gc');
	const collectGarbage = runInNewContext('gc') as () => void;
	const alive = (): number => given.filter(one => one.deref() !== undefined).length;
	await expect
		.poll(() => {
			collectGarbage();
			return alive();
		})
		.toBeLessThanOrEqual(most);
}

const ask = async (path = '/'): Promise<string> => gatepass.got(`${origin}${path}`).text();

test('requests under way finish on the old connections, which end with them; idle ones end at once', async () => {
	const underWay = ask('/wait');
	await expect.poll(() => [...waiting.keys()]).toContain('/wait');
	expect(await ask()).toBe('alice');
	expect([...open.values()]).toEqual(['alice', 'alice']);
	renew('bob');
	expect(await ask()).toBe('bob');
	await expect.poll(() => open.size).toBe(2);
	expect([...open.values()]).toEqual(['alice', 'bob']);
	waiting.get('/wait')?.();
	expect(await underWay).toBe('alice');
	await expect.poll(() => open.size).toBe(1);
	expect([...open.values()]).toEqual(['bob']);
	expect(await ask()).toBe('bob');
	expect(open.size).toBe(1);
});

test('an old identity goes when the last request with it is through', async () => {
	const underWay = ask('/slow/wait');
	await expect.poll(() => [...waiting.keys()]).toContain('/slow/wait');
	renew('bob');
	expect(await ask()).toBe('bob');
	waiting.get('/slow/wait')?.();
	expect(await underWay).toBe('alice');
	await untilAlive(0);
});

test('a request that was begun with the old one may still use it; its connection is not kept', async () => {
	expect(await ask('/slow')).toBe('alice');
	let goOn = (): void => {};
	const held = new Promise<void>(resolve => {
		goOn = resolve;
	});
	beforeUse = () => held;
	const begun = ask('/slow');
	await expect.poll(() => given.length).toBe(2);
	renew('bob');
	expect(await ask()).toBe('bob');
	await expect.poll(() => open.size).toBe(1);
	goOn();
	expect(await begun).toBe('alice');
	await expect.poll(() => open.size).toBe(1);
	expect([...open.values()]).toEqual(['bob']);
	beforeUse = undefined;
	expect(await ask('/slow')).toBe('bob');
});

test('close() ends also the connections of requests that are under way with an old one', async () => {
	const underWay = gatepass.got(`${origin}/wait-for-ever`, {retry: {limit: 0}});
	const failure = expect(underWay).rejects.toMatchObject({code: 'ECONNRESET'});
	await expect.poll(() => [...waiting.keys()]).toContain('/wait-for-ever');
	renew('bob');
	expect(await ask()).toBe('bob');
	await gatepass.close();
	await failure;
	waiting.get('/wait-for-ever')?.();
});

test('connections of one owner end too', async () => {
	expect(await ask('/owned')).toBe('alice');
	expect(await ask('/owned')).toBe('alice');
	expect(open.size).toBe(1);
	renew('bob');
	expect(await ask('/owned')).toBe('bob');
	await expect.poll(() => open.size).toBe(1);
	expect([...open.values()]).toEqual(['bob']);
});

test('1,000 renewals leave neither connections nor identities behind', async () => {
	for (let renewal = 1; renewal <= 1000; renewal++) {
		const name = renewal % 2 === 0 ? 'alice' : 'bob';
		renew(name);
		expect(await ask('/slow')).toBe(name);
	}
	await expect.poll(() => open.size).toBe(1);
	expect(given).toHaveLength(1000);
	await untilAlive(3);
	expect(await ask('/slow')).toBe('alice');
});
