/** A file that asks for more work than anybody waits for, before its passphrase is tried: as a rule's identity. */
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {afterAll, afterEach, beforeAll, expect, test} from 'vitest';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import {describeWith} from '../servers/availability.ts';
import {createGridPki, type GridPki} from '../servers/grid-pki.ts';
import {opensslServer} from '../servers/openssl-server.ts';

const passphrase = 'canary hunter2';
const url = 'https://h.example.org';

/** PBES2 with PBKDF2 over SHA-256, and with scrypt: its numbers are 16,384, 8 and 1. */
const scrypt = Buffer.from([0x02, 0x02, 0x40, 0x00, 0x02, 0x01, 0x08, 0x02, 0x01, 0x01]);

describeWith(opensslServer, 'the work for one file', () => {
	let pki: GridPki;
	let gatepass: Gatepass | undefined;
	beforeAll(async () => {
		pki = await createGridPki();
	});
	afterAll(() => pki.close());
	afterEach(() => gatepass?.close());

	async function encrypted(...how: string[]): Promise<Buffer> {
		await pki.openssl(
			...['pkcs8', '-topk8', '-in', 'ecdsa.key', '-passout', `pass:${passphrase}`, '-outform', 'DER'],
			...[...how, '-out', 'encrypted.der'],
		);
		return readFileSync(join(pki.folder, 'encrypted.der'));
	}

	/** What a request with such an identity ends with, and the milliseconds of CPU that it takes. */
	async function authorizeWith(options: Record<string, string>): Promise<{outcome: string; cpu: number}> {
		const rule = {match: url, strategy: 'grid-certificate' as const, options: {...options, passphrase}};
		gatepass = await createGatepass({cwd: pki.folder, env: {}, config: {hostRules: [rule]}});
		const started = process.cpuUsage();
		const outcome = await gatepass.authorize(url).then(
			({tls}) => (tls === undefined ? 'nothing' : 'an identity'),
			({message, diagnostics: [diagnostic]}) => `${diagnostic.code}: ${message}`,
		);
		const {user, system} = process.cpuUsage(started);
		await gatepass.close();
		return {outcome, cpu: (user + system) / 1000};
	}

	function pemFile(...keys: Buffer[]): Record<string, string> {
		const key = join(pki.folder, 'several.key');
		const blocks = keys.map(
			der =>
				`-----BEGIN ENCRYPTED PRIVATE KEY-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END ENCRYPTED PRIVATE KEY-----\n`,
		);
		writeFileSync(key, blocks.join(''), {mode: 0o600});
		return {certificate: pki.users.ecdsa.certificate, key};
	}

	/** Asks for so much, and is refused by OpenSSL at once: the costs of scrypt are powers of two. */
	function unworkable(key: Buffer, cost: readonly number[], blockSize: number): Buffer {
		const at = key.indexOf(scrypt);
		expect(at).toBeGreaterThan(0);
		const changed = Buffer.from(key);
		changed.set(cost, at + 2);
		changed[at + 6] = blockSize;
		return changed;
	}

	test('several encrypted keys in PEM are opened, as long as they ask for what people use', async () => {
		const key = await encrypted('-iter', '600000');
		const {outcome} = await authorizeWith(pemFile(key, key, await encrypted('-scrypt')));
		expect(outcome).toBe('an identity');
	});

	test('the rounds of all keys in a PEM file are summed: the rest is not derived', async () => {
		const usual = await encrypted('-iter', '600000');
		const one = await authorizeWith(pemFile(usual));
		expect(one.outcome).toBe('an identity');
		// 30,001 times 127, thrice, are 11.4 millions of 12.
		const dear = unworkable(await encrypted('-scrypt'), [0x75, 0x31], 127);
		const all = await authorizeWith(pemFile(dear, dear, dear, ...Array(30).fill(usual)));
		expect(all.outcome).toMatch(
			/^key-derivation-too-long: The key .*several\.key does not open: it asks for \d+ rounds/,
		);
		expect(all.outcome).not.toContain('canary');
		expect(all.cpu).toBeLessThan(10 * one.cpu);
	});

	test('numbers that make none do not switch the bound off', async () => {
		const usual = await encrypted('-iter', '600000');
		const one = await authorizeWith(pemFile(usual));
		const key = await encrypted('-scrypt');
		const at = key.indexOf(scrypt);
		// A cost of seven bytes, which no number holds, times a block size of nothing.
		const numbers = Buffer.from([0x02, 0x07, 1, 0, 0, 0, 0, 0, 0, 0x02, 0x01, 0x00, 0x02, 0x01, 0x01]);
		const nothing = grown(
			Buffer.concat([key.subarray(0, at), numbers, key.subarray(at + scrypt.length)]),
			5,
			at,
		);
		const all = await authorizeWith(pemFile(nothing, ...Array(30).fill(usual)));
		expect(all.outcome).toMatch(/^key-derivation-too-long: The key .* asks for countless rounds/);
		expect(all.cpu).toBeLessThan(10 * one.cpu);
	});

	test('the rounds of all bags in a PKCS#12 file are summed', async () => {
		const pkcs12 = join(pki.folder, 'several.p12');
		const key = await encrypted('-iter', '2600000');
		writeFileSync(pkcs12, await bagsOf(Array(2).fill(key)), {mode: 0o600});
		const two = await authorizeWith({pkcs12});
		expect(two.outcome).toBe('an identity');
		writeFileSync(pkcs12, await bagsOf(Array(20).fill(key)), {mode: 0o600});
		const all = await authorizeWith({pkcs12});
		expect(all.outcome).toMatch(/^key-derivation-too-long: The PKCS#12 file .* asks for \d+ rounds/);
		// Four of the twenty are within the bound.
		expect(all.cpu).toBeLessThan(5 * two.cpu);
	});

	/** A PKCS#12 file without a check of its wholeness, of these keys and the certificate of them. */
	async function bagsOf(keys: readonly Buffer[]): Promise<Buffer> {
		const {default: forge} = await import('node-forge');
		const {asn1} = forge;
		const oid = (name: string) => asn1.create(0, asn1.Type.OID, false, asn1.oidToDer(name).getBytes());
		const list = (...parts: ReturnType<typeof oid>[]) => asn1.create(0, asn1.Type.SEQUENCE, true, parts);
		const octets = (bytes: string) => asn1.create(0, asn1.Type.OCTETSTRING, false, bytes);
		const tagged = (part: ReturnType<typeof oid>) => asn1.create(128, 0, true, [part]);
		const raw = (der: Buffer) => asn1.fromDer(der.toString('latin1'));
		const certificate = readFileSync(pki.users.ecdsa.certificate, 'utf8');
		const der = Buffer.from(/-----\n([^-]+)/.exec(certificate)?.[1] ?? '', 'base64').toString('latin1');
		const bags = [
			...keys.map(key => list(oid('1.2.840.113549.1.12.10.1.2'), tagged(raw(key)))),
			list(
				oid('1.2.840.113549.1.12.10.1.3'),
				tagged(list(oid('1.2.840.113549.1.9.22.1'), tagged(octets(der)))),
			),
		];
		const data = '1.2.840.113549.1.7.1';
		const wrap = (content: ReturnType<typeof oid>) =>
			list(oid(data), tagged(octets(asn1.toDer(content).getBytes())));
		const version = asn1.create(0, asn1.Type.INTEGER, false, asn1.integerToDer(3).getBytes());
		return Buffer.from(asn1.toDer(list(version, wrap(list(wrap(list(...bags)))))).getBytes(), 'latin1');
	}
});

/** The sequences around a place, longer by so many bytes: each that begins before it and ends behind it. */
function grown(der: Buffer, by: number, place: number): Buffer {
	for (let at = 0; at < place; ) {
		if (der[at] !== 0x30) {
			at += 2 + (der[at + 1] as number);
			continue;
		}
		const length = der[at + 1] as number;
		const [header, size] = length === 0x81 ? [3, der[at + 2] as number] : [2, length];
		// Those that end before the place are passed by.
		if (at + header + size + by <= place) at += header + size;
		else {
			der[at + header - 1] = size + by;
			at += header;
		}
	}
	return der;
}
