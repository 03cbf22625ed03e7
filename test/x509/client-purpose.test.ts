/** Which certificates are for clients, and strong enough: OpenSSL has the last word on each. */
import {X509Certificate} from 'node:crypto';
import {readFileSync, writeFileSync} from 'node:fs';
import {createSecureContext} from 'node:tls';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {purposeFaults} from '../../src/x509/client-purpose.ts';
import {chooseChain} from '../../src/x509/own-chain.ts';
import {refusedByOpenssl, refusedByOthers} from '../../src/x509/strength.ts';
import {describeWith} from '../servers/availability.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {type OpensslFolder, openOpensslFolder} from './openssl-folder.ts';

const ca = ['basicConstraints=critical,CA:TRUE', 'keyUsage=keyCertSign,cRLSign'];
const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
const rsa = (bits: number): string[] => ['-newkey', `rsa:${bits}`];

describeWith(opensslServer, 'a client certificate', () => {
	let made: OpensslFolder;

	beforeAll(async () => {
		made = await openOpensslFolder();
		await makeRoot('root', ec);
	});
	afterAll(() => made.close());

	function makeRoot(name: string, key: readonly string[], ...parameters: string[]): Promise<string> {
		return made.openssl(
			...['req', '-x509', ...key, '-nodes', '-keyout', `${name}.key`, '-out', `${name}.pem`, '-days', '2'],
			...['-subj', `/CN=${name}`, '-addext', 'keyUsage=critical,keyCertSign,cRLSign', ...parameters],
		);
	}

	async function issue(
		name: string,
		by: string,
		extensions: readonly string[],
		{key = ec, hash = 'sha256'}: {key?: readonly string[]; hash?: string} = {},
	): Promise<X509Certificate> {
		const files = ['-keyout', `${name}.key`, '-out', `${name}.csr`];
		await made.openssl('req', ...key, '-nodes', ...files, '-subj', `/CN=${name}`);
		writeFileSync(made.file(`${name}.ext`), extensions.join('\n'));
		await made.openssl(
			...['x509', '-req', '-in', `${name}.csr`, '-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-days', '2'],
			...[`-${hash}`, '-set_serial', '7', '-extfile', `${name}.ext`, '-out', `${name}.pem`],
		);
		return read(name);
	}

	const read = (name: string): X509Certificate => new X509Certificate(readFileSync(made.file(`${name}.pem`)));

	/** As servers with OpenSSL verify a client that sends `names`, the leaf first. */
	function opensslTakes(root: string, ...names: readonly string[]): Promise<boolean> {
		return verify('sslclient', root, names);
	}

	function verify(purpose: string, root: string, names: readonly string[]): Promise<boolean> {
		const [leaf, ...others] = names;
		const untrusted = others.flatMap(name => ['-untrusted', `${name}.pem`]);
		const parameters = ['-purpose', purpose, '-CAfile', `${root}.pem`, ...untrusted, `${leaf}.pem`];
		return made.openssl('verify', ...parameters).then(
			() => true,
			() => false,
		);
	}

	const leaves: [string[], string | undefined][] = [
		[[], undefined],
		[['extendedKeyUsage=clientAuth'], undefined],
		[['extendedKeyUsage=serverAuth,clientAuth'], undefined],
		[['extendedKeyUsage=critical,clientAuth,emailProtection'], undefined],
		[['extendedKeyUsage=serverAuth'], 'extended key usage'],
		[['extendedKeyUsage=emailProtection,1.2.3.4'], 'extended key usage'],
		[['extendedKeyUsage=anyExtendedKeyUsage'], 'extended key usage'],
		[['extendedKeyUsage=anyExtendedKeyUsage,clientAuth'], undefined],
		[['keyUsage=digitalSignature'], undefined],
		[['keyUsage=keyAgreement'], undefined],
		[['keyUsage=critical,digitalSignature,keyEncipherment', 'extendedKeyUsage=clientAuth'], undefined],
		[['keyUsage=keyEncipherment'], 'key usage'],
		[['keyUsage=nonRepudiation', 'extendedKeyUsage=clientAuth'], 'key usage'],
		[['keyUsage=keyAgreement,decipherOnly'], undefined],
		[['nsCertType=client'], undefined],
		[['nsCertType=server'], 'netscape type'],
		[['nsCertType=client,server,email'], undefined],
		[['nsCertType=objsign'], 'netscape type'],
		[['extendedKeyUsage=msSGC'], 'extended key usage'],
		[['extendedKeyUsage=nsSGC'], 'extended key usage'],
	];
	test.each(leaves)('with %j', async (extensions, kind) => {
		const leaf = await issue('leaf', 'root', ['basicConstraints=CA:FALSE', ...extensions]);
		expect(purposeFaults([leaf, read('root')])).toEqual(
			kind === undefined ? [] : [expect.objectContaining({kind, certificate: leaf, isAuthority: false})],
		);
		expect(await opensslTakes('root', 'leaf')).toBe(kind === undefined);
		const forServers = purposeFaults([leaf, read('root')], 'server').length === 0;
		expect(await verify('sslserver', 'root', ['leaf'])).toBe(forServers);
	});

	const authorities: [string[], string | undefined][] = [
		[ca, undefined],
		[[...ca, 'extendedKeyUsage=clientAuth'], undefined],
		[[...ca, 'extendedKeyUsage=serverAuth,clientAuth'], undefined],
		[[...ca, 'extendedKeyUsage=serverAuth'], 'extended key usage'],
		[[...ca, 'extendedKeyUsage=anyExtendedKeyUsage'], 'extended key usage'],
		[['basicConstraints=CA:TRUE'], undefined],
		[['basicConstraints=CA:TRUE,pathlen:0'], undefined],
		[['basicConstraints=CA:FALSE'], 'no authority'],
		[['basicConstraints=CA:FALSE', 'keyUsage=keyCertSign'], 'no authority'],
		[['basicConstraints=CA:TRUE', 'keyUsage=digitalSignature'], 'key usage'],
		[['keyUsage=keyCertSign'], 'no authority'],
		[['nsCertType=sslCA'], 'no authority'],
		[['nsCertType=emailCA'], 'no authority'],
		[['subjectKeyIdentifier=hash'], 'no authority'],
	];
	test.each(authorities)('below a CA with %j', async (extensions, kind) => {
		const authority = await issue('between', 'root', extensions);
		const leaf = await issue('below', 'between', ['extendedKeyUsage=clientAuth']);
		expect(purposeFaults([leaf, authority, read('root')])).toEqual(
			kind === undefined ? [] : [expect.objectContaining({kind, certificate: authority, isAuthority: true})],
		);
		expect(await opensslTakes('root', 'below', 'between')).toBe(kind === undefined);
		const server = await issue('server', 'between', ['extendedKeyUsage=serverAuth']);
		const forServers = purposeFaults([server, authority, read('root')], 'server').length === 0;
		expect(await verify('sslserver', 'root', ['server', 'between'])).toBe(forServers);
	});

	test.each([
		[0, false],
		[1, true],
		[2, true],
	])('below two CAs, of which the upper one allows %i below it', async (length, isTaken) => {
		const upper = await issue('upper', 'root', [`basicConstraints=CA:TRUE,pathlen:${length}`]);
		const lower = await issue('lower', 'upper', ca);
		const leaf = await issue('below', 'lower', ['extendedKeyUsage=clientAuth']);
		const faults = purposeFaults([leaf, lower, upper, read('root')]);
		expect(faults.map(({kind}) => kind)).toEqual(isTaken ? [] : ['path length']);
		expect(await opensslTakes('root', 'below', 'lower', 'upper')).toBe(isTaken);
	});

	const namesOf = (chain: readonly X509Certificate[]): string[] => chain.map(({subject}) => subject.slice(3));

	/** Whether OpenSSL would show it. */
	function shows(...names: readonly string[]): boolean {
		const cert = names.map(name => readFileSync(made.file(`${name}.pem`), 'utf8')).join('');
		try {
			createSecureContext({cert, key: readFileSync(made.file(`${names[0]}.key`))});
			return true;
		} catch {
			return false;
		}
	}

	test.each<[string, {key?: string[]; hash?: string}, object | undefined]>([
		['RSA with 512 bits', {key: rsa(512)}, {key: 'an RSA key of 512 bits'}],
		['RSA with 1024 bits', {key: rsa(1024)}, {key: 'an RSA key of 1024 bits'}],
		['RSA with 2048 bits', {key: rsa(2048)}, undefined],
		['ECDSA with P-256', {}, undefined],
		['Ed25519', {key: ['-newkey', 'ed25519']}, undefined],
		[
			'ECDSA with P-192',
			{key: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime192v1']},
			{key: 'an ECDSA key on the curve prime192v1'},
		],
		['SHA-1', {hash: 'sha1'}, {hash: 'SHA-1'}],
		['SHA-384', {hash: 'sha384'}, undefined],
	])('%s', async (_, settings, what) => {
		const leaf = await issue('strength', 'root', [], settings);
		const chain = [leaf, read('root')];
		const here = refusedByOpenssl(chain);
		expect(here === undefined).toBe(shows('strength', 'root'));
		if (here !== undefined) expect(here).toMatchObject({certificate: leaf, what});
		expect(refusedByOthers(chain)?.what).toEqual(what);
	});

	test.each([
		['md5', 'MD5'],
		['sha1', 'SHA-1'],
	])('RSA and %s', async (hash, name) => {
		await makeRoot('rsa', rsa(2048));
		const leaf = await issue('strength', 'rsa', [], {hash});
		expect(shows('strength')).toBe(false);
		expect(refusedByOpenssl([leaf])?.what).toEqual({hash: name});
	});

	test('a CA in the chain that is too weak is named; a root that is, is not shown', async () => {
		await makeRoot('old', rsa(1024), '-sha1');
		const between = await issue('between', 'old', ca, {key: rsa(512)});
		const leaf = await issue('below', 'between', []);
		expect(shows('below', 'between', 'old')).toBe(false);
		expect(refusedByOpenssl([leaf, between, read('old')])).toMatchObject({
			certificate: between,
			what: {key: 'an RSA key of 512 bits'},
		});

		const good = await issue('good', 'old', ca);
		const under = await issue('under', 'good', []);
		const {chain, leftOut, isEnough} = chooseChain([read('old'), good, under], under);
		expect(namesOf(chain)).toEqual(['under', 'good']);
		expect(namesOf(leftOut)).toEqual(['old']);
		expect(isEnough).toBe(true);
		expect(shows('under', 'good')).toBe(true);
	});

	test('of two certificates of one CA, the one that OpenSSL takes is shown', async () => {
		await issue('again', 'root', ca);
		const good = read('again');
		writeFileSync(made.file('weak.ext'), ca.join('\n'));
		await made.openssl(
			...[
				'x509',
				'-req',
				'-in',
				'again.csr',
				'-CA',
				'root.pem',
				'-CAkey',
				'root.key',
				'-days',
				'30',
				'-sha1',
			],
			...['-set_serial', '8', '-extfile', 'weak.ext', '-out', 'weak.pem'],
		);
		const leaf = await issue('below', 'again', []);
		expect(shows('below', 'weak')).toBe(false);
		for (const all of [
			[read('weak'), good],
			[good, read('weak')],
		]) {
			expect(chooseChain(all, leaf).chain.map(({fingerprint256}) => fingerprint256)).toEqual([
				leaf.fingerprint256,
				good.fingerprint256,
			]);
		}
	});
});
