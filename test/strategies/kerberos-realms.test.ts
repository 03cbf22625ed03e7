/**
 * Two realms: collections with tickets of both, named principals, and services that a KDC refers to the other realm.
 * MIT's library chooses among tickets by itself; curl, which is built with it, has to come to the same.
 */
import {execFile, execFileSync} from 'node:child_process';
import {mkdir, readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {CredentialUnavailableError, createGatepass, type Gatepass} from '../../src/index.ts';
import {type ApacheNegotiate, apacheNegotiate, startApacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith, findProgram} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {startTwoRealms, type TwoRealms} from '../servers/two-realms.ts';
import {failureOf, libraries} from './kerberos-setup.ts';

const [alice, other] = ['alice@GATEPASS.TEST', 'alice@SECOND.TEST'];

describeWith([mitKdc, apacheNegotiate], 'two realms', () => {
	let realms: TwoRealms;
	let servers: Record<'first' | 'second', ApacheNegotiate>;
	/** A collection, whose primary cache is of the first realm. */
	let collection: string;
	let home: string;
	const open: Gatepass[] = [];
	const before = {...process.env};
	beforeAll(async () => {
		realms = await startTwoRealms();
		const {configuration, first, second} = realms;
		servers = {
			first: await startApacheNegotiate({...first, configuration}),
			second: await startApacheNegotiate({...second, configuration}),
		};
		collection = join(first.folder, 'collection');
		home = join(first.folder, 'home');
		await Promise.all([mkdir(collection), mkdir(home)]);
		await realms.ticket('first', `DIR::${collection}/tkt1`);
		await realms.ticket('second', `DIR::${collection}/tkt2`);
		await writeFile(join(collection, 'primary'), 'tkt1\n');
	});
	afterAll(async () => {
		for (const name of ['KRB5_CONFIG', 'KRB5CCNAME', 'HOME']) {
			if (before[name] === undefined) delete process.env[name];
			else process.env[name] = before[name];
		}
		await Promise.all(open.map(gatepass => gatepass.close()));
		await Promise.all(Object.values(servers ?? {}).map(server => server.close()));
		await realms?.close();
	});

	type Host = 'first' | 'second';
	/** A rule for each server, by the names that they have in their realms. */
	async function gatepassWith(options: Record<string, unknown>): Promise<Gatepass> {
		const gatepass = await createGatepass({
			config: {
				cache: {url: 'memory:'},
				hostRules: (['first', 'second'] as const).map(name => ({
					match: `http://localhost:${servers[name].ports.http}`,
					strategy: 'kerberos',
					options: {hostname: `www.${name}.test`, ...options},
				})),
			},
		});
		open.push(gatepass);
		return gatepass;
	}
	async function userOf(gatepass: Gatepass, host: Host): Promise<unknown> {
		const url = `http://localhost:${servers[host].ports.http}/negotiate`;
		const {headers} = await gatepass.got(url, {retry: {limit: 0}});
		return headers['x-remote-user'];
	}
	/** Whom the server sees when curl asks it. */
	async function userOfCurl(host: Host): Promise<string | undefined> {
		const {port, name} = {port: servers[host].ports.http, name: `www.${host}.test`};
		const {stdout} = await promisify(execFile)(findProgram('curl') as string, [
			...['-s', '-i', '--negotiate', '-u', ':', '--resolve', `${name}:${port}:127.0.0.1`],
			`http://${name}:${port}/negotiate`,
		]);
		return /^x-remote-user: (.*?)\r?$/im.exec(stdout)?.[1];
	}
	function use(environment: Readonly<Record<string, string>>): void {
		Object.assign(process.env, {KRB5_CONFIG: realms.configuration, HOME: home, ...environment});
	}

	describe.each(['without', 'with'] as const)('%s [domain_realm]', domains => {
		const choose = (): void =>
			use({
				KRB5_CONFIG: domains === 'with' ? realms.withDomains : realms.configuration,
				KRB5CCNAME: `DIR:${collection}`,
			});

		test.for([
			['the default', () => ({})],
			['credentialCache', () => ({credentialCache: `DIR:${collection}`})],
		] as const)("over mit, a collection by %s: the tickets of the service's realm", async ([, options]) => {
			choose();
			const gatepass = await gatepassWith({library: 'mit', ...options()});
			for (const [host, expected] of [
				['first', alice],
				['second', other],
				['first', alice],
			] as const) {
				expect(await userOf(gatepass, host)).toBe(expected);
				expect(await userOfCurl(host)).toBe(expected);
			}
		});

		test('over mit, ~/.k5identity has the last word', async () => {
			choose();
			const file = join(home, '.k5identity');
			await writeFile(file, `${other} service=HTTP host=www.first.test\n${alice} host=*.second.test\n`);
			try {
				const gatepass = await gatepassWith({library: 'mit'});
				for (const [host, expected] of [
					['first', other],
					['second', alice],
				] as const) {
					expect(await userOf(gatepass, host)).toBe(expected);
					expect(await userOfCurl(host)).toBe(expected);
				}
			} finally {
				await writeFile(file, '');
			}
		});

		test('over heimdal, a collection: the primary tickets, as Heimdal has it', async () => {
			choose();
			const gatepass = await gatepassWith({library: 'heimdal'});
			expect(await userOf(gatepass, 'first')).toBe(alice);
			expect(await userOf(gatepass, 'second')).toBe(alice);
		});

		describe.each(libraries)('over %s', library => {
			test("the KDC's referral to another realm is followed", async () => {
				choose();
				const gatepass = await gatepassWith({library, credentialCache: `DIR::${collection}/tkt1`});
				expect(await userOf(gatepass, 'second')).toBe(alice);
				const back = await gatepassWith({library, credentialCache: `DIR::${collection}/tkt2`});
				expect(await userOf(back, 'first')).toBe(other);
			});

			test.for([
				['credentialCache', () => ({credentialCache: `DIR:${collection}`})],
				['the default', () => ({})],
			] as const)('a principal is found in a collection by %s, primary or not', async ([, options]) => {
				choose();
				for (const principal of [other, alice, other]) {
					const gatepass = await gatepassWith({library, principal, ...options()});
					expect(await userOf(gatepass, 'first')).toBe(principal);
					expect(await userOf(gatepass, 'second')).toBe(principal);
				}
				const missing = await gatepassWith({library, principal: 'nobody@SECOND.TEST', ...options()});
				const error = await failureOf(userOf(missing, 'first'));
				expect(error).toBeInstanceOf(CredentialUnavailableError);
				expect(error.message).toContain('nobody@SECOND.TEST');
			});

			test('two rules with two principals of one collection work side by side', async () => {
				choose();
				const [one, two] = [
					await gatepassWith({library, principal: alice}),
					await gatepassWith({library, principal: other}),
				];
				const seen = await Promise.all(
					Array.from({length: 20}, (_, index) => userOf(index % 2 === 0 ? one : two, 'second')),
				);
				expect(seen).toEqual(seen.map((_, index) => (index % 2 === 0 ? alice : other)));
			});
		});
	});

	describe('names of services', () => {
		/** The services of which a cache holds tickets. */
		function servicesIn(cache: string): string[] {
			const listed = execFileSync(findProgram('klist') as string, ['-c', cache], {encoding: 'utf8'});
			return [...listed.matchAll(/ (HTTP\/\S+)/g)].map(([, name]) => name as string);
		}

		test.for(libraries)('a hostname with a port, over %s', async library => {
			use({KRB5_CONFIG: realms.withDomains});
			const cache = join(realms.first.folder, `port-${library}`);
			await realms.ticket('second', cache);
			const hostname = 'www.second.test:8443';
			const gatepass = await gatepassWith({library, credentialCache: cache, hostname});
			expect(await userOf(gatepass, 'second')).toBe(other);
			expect(servicesIn(cache)).toEqual([`HTTP/${hostname}@SECOND.TEST`]);
		});

		test.for([
			['qualify_shortname = "second.test"', 'HTTP/www.second.test@SECOND.TEST'],
			['qualify_shortname = ""', 'HTTP/www@SECOND.TEST'],
		] as const)('a short name over mit, by %s, as for kvno', async ([setting, expected]) => {
			const [cache, cacheOfKvno] = ['gatepass', 'kvno'].map(by =>
				join(realms.first.folder, `short-${by}-${expected.length}`),
			) as [string, string];
			await Promise.all([realms.ticket('second', cache), realms.ticket('second', cacheOfKvno)]);
			const file = join(realms.first.folder, 'short.conf');
			const own = await readFile(realms.withDomains, 'utf8');
			await writeFile(
				file,
				own
					.replace('[libdefaults]\n', `[libdefaults]\n\tdns_canonicalize_hostname = false\n\t${setting}\n`)
					.replace(/default_realm = .*/, 'default_realm = SECOND.TEST'),
			);
			use({KRB5_CONFIG: file});
			const gatepass = await gatepassWith({library: 'mit', credentialCache: cache, hostname: 'www'});
			expect(await userOf(gatepass, 'second')).toBe(other);
			execFileSync(findProgram('kvno') as string, ['-q', '-c', cacheOfKvno, '-S', 'HTTP', 'www']);
			expect(servicesIn(cache)).toContain(expected);
			expect(servicesIn(cache)).toEqual(servicesIn(cacheOfKvno));
		});

		test('a short name over heimdal is left as it is where DNS is not asked', async () => {
			const cache = join(realms.first.folder, 'short-heimdal');
			await realms.ticket('second', cache);
			const file = join(realms.first.folder, 'short-heimdal.conf');
			const own = await readFile(realms.withDomains, 'utf8');
			await writeFile(
				file,
				`${own.replace(/default_realm = .*/, 'default_realm = SECOND.TEST\n\tdns_canonicalize_hostname = false')}\twww = SECOND.TEST\n`,
			);
			use({KRB5_CONFIG: file});
			const gatepass = await gatepassWith({library: 'heimdal', credentialCache: cache, hostname: 'www'});
			expect(await userOf(gatepass, 'second')).toBe(other);
			expect(servicesIn(cache)).toEqual(['HTTP/www@SECOND.TEST']);
		});
	});

	describe.each(libraries)('names of caches and key tables, over %s', library => {
		test.for([
			['DIR::%/tkt2', other],
			['DIR:%', alice],
			['dir:%', alice],
			['FILE:%/tkt2', other],
			['file:%/tkt2', other],
			['%/tkt2', other],
			['FILE:%/../collection/tkt2', other],
		] as const)('credentialCache: %s', async ([name, expected]) => {
			use({});
			delete process.env.KRB5CCNAME;
			const gatepass = await gatepassWith({library, credentialCache: name.replace('%', collection)});
			expect(await userOf(gatepass, 'first')).toBe(expected);
			const [status] = await gatepass.status();
			expect(status).toMatchObject({available: true, detail: expect.stringContaining(expected)});
		});

		test.for(['%', 'FILE:%', 'WRFILE:%', 'file:%'])('keytab: %s', async name => {
			use({KRB5CCNAME: `DIR:${collection}`});
			const keytab = name.replace('%', realms.second.keytabs.robot);
			const gatepass = await gatepassWith({library, keytab, principal: 'robot@SECOND.TEST'});
			expect(await userOf(gatepass, 'second')).toBe('robot@SECOND.TEST');
		});

		test('a type that the library does not know is named, as it was written', async () => {
			use({});
			const gatepass = await gatepassWith({library, credentialCache: 'NOSUCH:thing'});
			const error = await failureOf(userOf(gatepass, 'first'));
			expect(error).toBeInstanceOf(CredentialUnavailableError);
			expect(error.message).toContain('no credential caches of this type (NOSUCH:thing)');
		});
	});
});
