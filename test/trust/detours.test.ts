/** Servers that send certificates which lead whoever checks the chain another way than OpenSSL went. */
import 'reflect-metadata';
import {webcrypto, X509Certificate} from 'node:crypto';
import {appendFile, readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {BasicConstraintsExtension, X509CertificateGenerator} from '@peculiar/x509';
import {expect, onTestFinished, test} from 'vitest';
import {CertificateError} from '../../src/errors.ts';
import {parsePattern} from '../../src/host-rules/pattern.ts';
import {createTrustSet} from '../../src/trust/trust-stores.ts';
import {describeWith} from '../servers/availability.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {type Holder, startTlsServer} from './pki.ts';
import {gatepassFor, grid, gridName, host, newFolder, outcome, pki, root} from './stage.ts';

const day = 86_400_000;

/** What a server of that certificate ends in, when it sends these certificates in PEM besides. */
async function outcomeOf(holder: Holder, sent: readonly string[], folder: string): Promise<unknown> {
	const chain = join(pki.folder, `sent-${Math.random()}`);
	await writeFile(chain, [await readFile(holder.certificate, 'utf8'), ...sent].join(''));
	const server = await startTlsServer({...holder, chain});
	onTestFinished(() => server.close());
	return outcome(await gatepassFor(folder), server.url);
}

const revoked = /is revoked, says/;
const detour = /others that lead nowhere.*\(trust: trust\[0\]\)/;

async function expectRefused(result: Promise<unknown>, reason: RegExp): Promise<void> {
	const error = await result;
	expect(error).toBeInstanceOf(CertificateError);
	expect((error as Error).message).toMatch(reason);
}

/** A certificate of a CA as anybody can make it: its signature is right for nobody. */
async function forged(name: string, issuer: string, from: number, until: number): Promise<string> {
	const algorithm = {name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256'};
	const keys = (await webcrypto.subtle.generateKey(algorithm, true, [
		'sign',
		'verify',
	])) as webcrypto.CryptoKeyPair;
	const made = await X509CertificateGenerator.create({
		subject: name,
		issuer,
		signingAlgorithm: algorithm,
		publicKey: keys.publicKey,
		signingKey: keys.privateKey,
		notBefore: new Date(from),
		notAfter: new Date(until),
		extensions: [new BasicConstraintsExtension(true)],
	});
	return `${made.toString('pem')}\n`;
}

describeWith(opensslServer, 'a server that leads astray', () => {
	test('by a CA of the same name that has expired, which hides the true one', async () => {
		const folder = await newFolder([root]);
		await folder.put(grid, 'r0', await pki.list(grid, {revoked: [host]}));
		const now = Date.now();
		const decoy = await forged('DC=org,DC=gatepass,CN=Grid CA', 'CN=Nowhere', now - 2 * day, now - day);
		const trueOne = await readFile(grid.certificate, 'utf8');
		await expectRefused(outcomeOf(host, [trueOne], folder.path), revoked);
		await expectRefused(outcomeOf(host, [decoy, trueOne], folder.path), revoked);
		// All that was sent is looked at, so that a decoy hides nothing, and does no harm.
		for (const sent of [
			[trueOne, decoy],
			[decoy, trueOne],
		]) {
			expect(await outcomeOf(host, sent, (await newFolder([root])).path)).toBe(200);
		}
	});

	test('by a root of its own over the key of a CA that is revoked', async () => {
		const folder = await newFolder([root]);
		await folder.put(root, 'r0', await pki.list(root, {revoked: [grid]}));
		await pki.openssl(
			...['req', '-x509', '-key', grid.key, '-subj', gridName, '-days', '30', '-out', 'own.pem'],
		);
		// Node links the certificates by their names alone.
		const now = Date.now();
		const link = await forged(
			'C=CH,O=Gatepass,CN=Root',
			'DC=org,DC=gatepass,CN=Grid CA',
			now - day,
			now + day,
		);
		const own = await readFile(join(pki.folder, 'own.pem'), 'utf8');
		const trueOne = await readFile(grid.certificate, 'utf8');
		await expectRefused(outcomeOf(host, [trueOne], folder.path), revoked);
		const sent = [trueOne, link, own];
		await expectRefused(outcomeOf(host, sent, folder.path), revoked);
	});

	test('by a long way to a CA that is revoked', async () => {
		const top = await pki.authority('top', '/CN=Top', root);
		let below = top;
		for (let depth = 0; depth < 12; depth++) {
			below = await pki.authority(`depth-${depth}`, `/CN=Depth ${depth}`, below);
		}
		const far = await pki.issue('far', '/CN=far', below);
		const folder = await newFolder([root]);
		await folder.put(root, 'r0', await pki.list(root, {revoked: [top]}));
		await expectRefused(outcomeOf(far, [await readFile(below.chain, 'utf8')], folder.path), detour);
	});

	test('by an older certificate of a CA, which has expired', async () => {
		const folder = await newFolder([root]);
		const set = createTrustSet({
			patterns: [parsePattern('*')],
			files: [folder.path],
			only: true,
			source: 'trust[0]',
		});
		await writeFile(join(pki.folder, 'old.index'), '');
		await appendFile(
			join(pki.folder, 'old.cnf'),
			`[ca]\ndefault_ca=own\n[own]\ndatabase=${pki.folder}/old.index\nnew_certs_dir=${pki.folder}\n` +
				'rand_serial=yes\ndefault_md=sha256\npolicy=any\nunique_subject=no\nx509_extensions=ext\n' +
				'[any]\ncommonName=supplied\n[ext]\nbasicConstraints=CA:TRUE\n',
		);
		await pki.openssl(
			...['ca', '-batch', '-config', 'old.cnf', '-in', 'grid.csr', '-subj', gridName, '-preserveDN'],
			...['-cert', root.certificate, '-keyfile', root.key, '-startdate', '20200101000000Z'],
			...['-enddate', '20210101000000Z', '-out', 'old.pem', '-notext'],
		);
		const old = new X509Certificate(await readFile(join(pki.folder, 'old.pem')));
		const [leaf, present] = [await host.read(), await grid.read()];
		expect(old.publicKey.equals(present.publicKey)).toBe(true);
		expect(set.checkServer('host', leaf, [present])).toBeUndefined();
		expect(set.checkServer('host', leaf, [present, old])).toBeUndefined();
		expect(set.checkServer('host', leaf, [old])?.message).toMatch(detour);
	});
});
