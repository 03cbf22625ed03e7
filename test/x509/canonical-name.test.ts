/** Names that are written in different ways and are equal by RFC 5280 section 7.1: OpenSSL has the last word. */
import 'reflect-metadata';
import {webcrypto, X509Certificate} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {writeFile} from 'node:fs/promises';
import * as x509 from '@peculiar/x509';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {createTrustSet} from '../../src/trust/trust-stores.ts';
import {isIssuedBy, isSelfIssued, orderChain} from '../../src/x509/certificates.ts';
import {subjectHash} from '../../src/x509/subject-hash.ts';
import {describeWith} from '../servers/availability.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {type OpensslFolder, openOpensslFolder} from './openssl-folder.ts';

const algorithm = {name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256'} as const;
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
const utf32 = (text: string): Buffer =>
	Buffer.concat([...text].map(letter => Buffer.from([0, 0, 0, letter.codePointAt(0) as number])));

/** Kinds of strings by their tags: UTF8, Numeric, Printable, T61, IA5, Universal, BMP. */
const kinds = {
	utf8: [12, (text: string) => Buffer.from(text)],
	numeric: [18, latin1],
	printable: [19, latin1],
	t61: [20, latin1],
	ia5: [22, latin1],
	universal: [28, utf32],
	bmp: [30, (text: string) => Buffer.from(text, 'utf16le').swap16()],
} as const;

const element = (tag: number, ...parts: Buffer[]): Buffer => {
	const content = Buffer.concat(parts);
	return Buffer.concat([Buffer.from([tag, content.length]), content]);
};
const types = {O: Buffer.from('060355040a', 'hex'), CN: Buffer.from('0603550403', 'hex')};

type Part = readonly ['O' | 'CN', string, keyof typeof kinds];

/** The DER of a name; each inner list is one part of several values. */
function nameOf(...sets: readonly (readonly Part[])[]): Buffer {
	const encoded = sets.map(parts =>
		element(
			0x31,
			...parts
				.map(([type, text, kind]) =>
					element(0x30, types[type], element(kinds[kind][0], kinds[kind][1](text))),
				)
				.sort(Buffer.compare),
		),
	);
	return element(0x30, ...encoded);
}

const plain = nameOf([['O', 'Example Lab', 'printable']], [['CN', 'Grid CA', 'printable']]);
const onePart = (text: string, kind: keyof typeof kinds): Buffer => nameOf([['CN', text, kind]]);

describeWith(opensslServer, 'names of issuers', () => {
	let made: OpensslFolder;
	let keys: webcrypto.CryptoKeyPair;
	beforeAll(async () => {
		made = await openOpensslFolder();
		keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
	});
	afterAll(() => made.close());

	async function certificate(subject: Buffer, issuer: Buffer, isCa: boolean): Promise<X509Certificate> {
		const made = await x509.X509CertificateGenerator.create({
			subject: new x509.Name(subject),
			issuer: new x509.Name(issuer),
			notBefore: new Date(Date.now() - 3_600_000),
			notAfter: new Date(Date.now() + 86_400_000),
			signingAlgorithm: algorithm,
			publicKey: keys.publicKey,
			signingKey: keys.privateKey,
			extensions: [new x509.BasicConstraintsExtension(isCa, undefined, true)],
		});
		return new X509Certificate(Buffer.from(made.rawData));
	}

	async function opensslTakes(ca: X509Certificate, leaf: X509Certificate): Promise<boolean> {
		await writeFile(made.file('ca.pem'), ca.toString());
		await writeFile(made.file('leaf.pem'), leaf.toString());
		// It need not be a root: what counts is whether it is found by its name.
		return made.openssl('verify', '-partial_chain', '-CAfile', 'ca.pem', 'leaf.pem').then(
			() => true,
			() => false,
		);
	}

	const other = nameOf([['CN', 'Other', 'utf8']]);
	test.each<[string, Buffer, Buffer, boolean]>([
		['the same', plain, plain, true],
		[
			'another case',
			plain,
			nameOf([['O', 'EXAMPLE lab', 'printable']], [['CN', 'grid ca', 'printable']]),
			true,
		],
		[
			'two blanks',
			plain,
			nameOf([['O', 'Example  Lab', 'printable']], [['CN', 'Grid   CA', 'printable']]),
			true,
		],
		[
			'blanks at the ends',
			plain,
			nameOf([['O', ' Example Lab  ', 'printable']], [['CN', 'Grid CA ', 'printable']]),
			true,
		],
		['tabs and line ends', onePart('Grid CA', 'utf8'), onePart('\tGrid \n\v CA\r', 'ia5'), true],
		...Object.keys(kinds).map((kind): [string, Buffer, Buffer, boolean] => [
			`UTF8String and ${kind}`,
			onePart('Grid CA 7', 'utf8'),
			onePart('Grid CA 7', kind as keyof typeof kinds),
			kind !== 'numeric',
		]),
		['digits as NumericString, twice', onePart('12 3', 'numeric'), onePart('12 3', 'numeric'), true],
		[
			'digits as NumericString, with two blanks',
			onePart('12 3', 'numeric'),
			onePart('12  3', 'numeric'),
			false,
		],
		['an accent in UTF-8 and in T61', onePart('Zürich CA', 'utf8'), onePart('zürich ca', 't61'), true],
		['an accent in UTF-8 and in BMP', onePart('Łódź CA', 'utf8'), onePart('Łódź ca', 'bmp'), true],
		['the case of a letter with an accent', onePart('Zürich', 'utf8'), onePart('ZÜrich', 'utf8'), false],
		['a blank that is none of ASCII', onePart('Grid CA', 'utf8'), onePart('Grid\u00a0CA', 'utf8'), false],
		['a blank inside a word', onePart('Grid CA', 'utf8'), onePart('GridCA', 'utf8'), false],
		[
			'another order of parts',
			plain,
			nameOf([['CN', 'Grid CA', 'printable']], [['O', 'Example Lab', 'printable']]),
			false,
		],
		[
			'two values in one part, in another case',
			nameOf([
				['O', 'b', 'utf8'],
				['CN', 'A', 'utf8'],
			]),
			nameOf([
				['O', 'B', 'utf8'],
				['CN', 'a', 'utf8'],
			]),
			true,
		],
		['a part more', plain, nameOf([['O', 'Example Lab', 'printable']]), false],
		['nothing but blanks', onePart('', 'utf8'), onePart('  ', 'utf8'), true],
	])('%s', async (_, subject, issuer, isSame) => {
		const ca = await certificate(subject, other, true);
		const leaf = await certificate(onePart('leaf', 'utf8'), issuer, false);
		expect(await opensslTakes(ca, leaf)).toBe(isSame);
		expect(isIssuedBy(leaf, ca)).toBe(isSame);
		expect(orderChain([ca], leaf)).toHaveLength(isSame ? 2 : 1);
		const twice = await certificate(subject, issuer, true);
		expect(isSelfIssued(twice)).toBe(isSame);
		await writeFile(made.file('ca.pem'), ca.toString());
		const hash = await made.openssl('x509', '-in', 'ca.pem', '-noout', '-subject_hash');
		expect(subjectHash(ca)).toBe(hash.trim());
	});

	test('a trust store follows a chain whose issuers are written in another way', async () => {
		const root = await certificate(
			plain,
			nameOf([['O', 'EXAMPLE LAB', 'utf8']], [['CN', 'GRID ca', 'utf8']]),
			true,
		);
		const grid = await certificate(
			onePart('Below', 'utf8'),
			nameOf([['O', 'example  lab ', 'utf8']], [['CN', 'Grid CA', 't61']]),
			true,
		);
		const leaf = await certificate(onePart('leaf', 'utf8'), onePart('BELOW', 'printable'), false);
		await writeFile(made.file('root.pem'), root.toString());
		const store = createTrustSet({patterns: [], files: [made.file('root.pem')], only: true, source: 'test'});
		const {path, end} = store.verifyChain([leaf, grid], {ownOnly: true});
		expect(end).toBe('complete');
		expect(path.map(({fingerprint256}) => fingerprint256)).toEqual(
			[leaf, grid, root].map(({fingerprint256}) => fingerprint256),
		);
		expect(readFileSync(made.file('root.pem'), 'utf8')).toBe(root.toString());
	});
});
