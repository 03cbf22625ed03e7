/**
 * Fifty identities on one host, in turn and all at once: no connection of one is ever used for another, and there is a
 * handshake for each connection, not for each request.
 *
 * Node itself has mixed them up where they come as PKCS#12 (`pfx`) or in a secure context (CVE-2026-56850,
 * CVE-2026-58040), before 22.23.2 and 24.18.1. The tests hold on those too, since no two identities share an agent.
 */
import {execFile} from 'node:child_process';
import {chmod, mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {readIdentity} from '../../src/identities/read-identity.ts';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import type {CertificateFiles} from '../../src/testing/authority.ts';
import {TlsAgents} from '../../src/tls/agents.ts';
import {type ApacheWithUsers, apache, startApacheMtls, type TlsVersion} from '../servers/apache.ts';
import {describeWith, findProgram} from '../servers/availability.ts';

const count = 50;
const versions: readonly TlsVersion[] = ['TLSv1.3', 'TLSv1.2'];
const numbers = Array.from({length: count}, (_, number) => number);
const subjectOf = (number: number): string => `CN=user-${number},OU=Users,O=Gatepass`;

describeWith(apache, 'fifty identities on one host', () => {
	let server: ApacheWithUsers;
	let folder: string;
	let pairs: CertificateFiles[];

	beforeAll(async () => {
		server = await startApacheMtls();
		folder = await mkdtemp(join(tmpdir(), 'gatepass-fifty-'));
		pairs = await Promise.all(
			numbers.map(number =>
				server.authority.issue(`user-${number}`, `/O=Gatepass/OU=Users/CN=user-${number}`),
			),
		);
	});
	afterAll(async () => {
		await server?.close();
		if (folder !== undefined) await rm(folder, {recursive: true, force: true});
	});

	const sources: Readonly<Record<string, (number: number) => Promise<Record<string, string>>>> = {
		'from PEM files': async (number: number) => {
			const {certificate, key} = pairs[number] as CertificateFiles;
			return {certificate, key};
		},
		'from PKCS#12': async (number: number) => {
			const {certificate, key} = pairs[number] as CertificateFiles;
			const pkcs12 = join(folder, `${number}.p12`);
			await promisify(execFile)(findProgram('openssl') as string, [
				...['pkcs12', '-export', '-in', certificate, '-inkey', key, '-passout', 'pass:one for all'],
				...['-out', pkcs12],
			]);
			await chmod(pkcs12, 0o600);
			return {pkcs12, passphrase: 'one for all'};
		},
	};

	describe.each(Object.entries(sources))('%s', (_, optionsOf) => {
		let options: Record<string, string>[];
		beforeAll(async () => {
			options = await Promise.all(numbers.map(optionsOf));
		});

		/** A gatepass with a path for each identity. */
		function gatepassFor(url: string): Promise<Gatepass> {
			return createGatepass({
				env: {},
				config: {
					cache: {url: 'memory:'},
					trust: [{match: url, ca: server.ca, only: true}],
					hostRules: numbers.map(number => ({
						match: `${url}/${number}`,
						strategy: 'grid-certificate',
						options: {...options[number]},
					})),
				},
			});
		}

		test.for(versions)(
			'in turn, over %s: a connection each, and a handshake for each connection',
			async (version, {expect}) => {
				const url = server.urls[version];
				const before = (await server.handshakes()).length;
				await using gatepass = await gatepassFor(url);
				const portOf = new Map<number, string>();
				for (let round = 0; round < 4; round++) {
					// Another order each time: whoever follows whom.
					for (const step of numbers) {
						const number = (step * (2 * round + 1) * 3) % count;
						const {headers} = await gatepass.got(`${url}/${number}/${round}`);
						expect(headers['x-client-dn']).toBe(subjectOf(number));
						const port = String(headers['x-client-port']);
						expect(portOf.get(number) ?? port).toBe(port);
						portOf.set(number, port);
					}
				}
				const ports = new Set(portOf.values());
				expect(ports.size).toBe(portOf.size);
				const handshakes = (await server.handshakes()).slice(before);
				expect(handshakes.sort()).toEqual([...ports].sort());
			},
		);

		test.for(versions)('all at once, over %s: each connection has one owner', async (version, {expect}) => {
			const url = server.urls[version];
			const before = (await server.handshakes()).length;
			await using gatepass = await gatepassFor(url);
			const ownerOf = new Map<string, string>();
			const requests = Array.from({length: 6 * count}, (_, index) => (index * 7) % count);
			const send = async (number: number): Promise<void> => {
				const {headers} = await gatepass.got(`${url}/${number}/`);
				const [port, owner] = [String(headers['x-client-port']), String(headers['x-client-dn'])];
				expect(owner).toBe(subjectOf(number));
				expect(ownerOf.get(port) ?? owner).toBe(owner);
				ownerOf.set(port, owner);
			};
			const next = requests[Symbol.iterator]();
			await Promise.all(
				Array.from({length: 100}, async () => {
					for (const number of next) await send(number);
				}),
			);
			expect(new Set(ownerOf.values()).size).toBe(count);
			expect(ownerOf.size).toBeLessThan(requests.length);
			const handshakes = (await server.handshakes()).slice(before);
			expect(handshakes.sort()).toEqual([...ownerOf.keys()].sort());
		});
	});

	test('each has an agent of its own, and the same one each time', async () => {
		const identities = await Promise.all(
			pairs.map(({certificate, key}) => readIdentity({kind: 'pair', certificate, key, namedBy: 'the test'})),
		);
		const agents = new TlsAgents();
		try {
			const first = identities.map(identity => agents.for(identity, undefined));
			const second = identities.map(identity => agents.for(identity, undefined));
			expect(new Set(first).size).toBe(count);
			expect(second).toEqual(first);
			for (const [index, agent] of first.entries()) expect(agent).toBe(second[index]);
			expect(first).not.toContain(agents.for(undefined, undefined));
		} finally {
			agents.close();
		}
	});
});
