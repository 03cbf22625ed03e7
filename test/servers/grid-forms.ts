/** A user's certificate and key in each form that the grid uses, as `openssl` and the grid's tools write them. */
import {chmod, copyFile, mkdir, readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import type {GridPki, GridUser} from './grid-pki.ts';
import {makeProxy, makeVomsProxy} from './grid-proxies.ts';

/** What `grid-certificate` is told, and whom the server should then see. */
export interface GridForm {
	readonly options: Readonly<Record<string, unknown>>;
	readonly env?: Readonly<Record<string, string>>;
	readonly subject: string;
}

export type FormMaker = (pki: GridPki) => Promise<GridForm>;

const passphrase = 'a secret of the test';
const encrypted = ['-passout', `pass:${passphrase}`];

/** Certificates of users and of a robot. */
export const certificateForms: Readonly<Record<string, FormMaker>> = {
	'RSA, PEM, PKCS#8': pair('alice'),
	ECDSA: pair('ecdsa'),
	Ed25519: pair('ed25519'),
	'a robot': pair('robot', {requireRobot: true}),
	'PKCS#8, DER': withKey('alice', 'pkey', '-outform', 'DER'),
	'PKCS#1': withKey('alice', 'rsa', '-traditional'),
	'PKCS#1, DER': withKey('alice', 'rsa', '-traditional', '-outform', 'DER'),
	SEC1: withKey('ecdsa', 'ec'),
	'SEC1, DER': withKey('ecdsa', 'ec', '-outform', 'DER'),
	'PKCS#8, encrypted': withKey('alice', 'pkcs8', '-topk8', '-v2', 'aes-256-cbc', ...encrypted),
	'PKCS#8, encrypted, DER': withKey('ed25519', 'pkcs8', '-topk8', '-scrypt', '-outform', 'DER', ...encrypted),
	'PKCS#1, encrypted': withKey('alice', 'rsa', '-traditional', '-aes256', ...encrypted),
	'SEC1, encrypted': withKey('ecdsa', 'ec', '-aes256', ...encrypted),
	'PKCS#12, modern': pkcs12('alice', '-certfile', 'grid.pem'),
	'PKCS#12, legacy': pkcs12('alice', '-legacy'),
	'PKCS#12, legacy, all of it RC2-40': pkcs12('alice', '-legacy', '-keypbe', 'PBE-SHA1-RC2-40'),
	'PKCS#12, ECDSA': pkcs12('ecdsa'),
	'PKCS#12, Ed25519': pkcs12('ed25519'),
	async 'PKCS#12, in a folder'(pki) {
		const {options, subject} = await pkcs12('alice')(pki);
		const directory = join(pki.folder, 'with-pkcs12');
		await mkdir(directory, {recursive: true});
		await copyFile(options.pkcs12 as string, join(directory, 'usercred.p12'));
		await chmod(join(directory, 'usercred.p12'), 0o600);
		return {options: {directory, passphrase}, subject};
	},
	async 'a certificate in DER'({users: {alice}, folder, openssl}) {
		await openssl('x509', '-in', alice.certificate, '-outform', 'DER', '-out', 'alice.der');
		return {options: {certificate: join(folder, 'alice.der'), key: alice.key}, subject: alice.subject};
	},
	'a certificate with its chain': withCertificate((own, chain) => own + chain),
	'a chain in the wrong order, with CRLF, a BOM and a duplicate': withCertificate((own, chain) =>
		`\uFEFF${chain}${own}${own}`.replaceAll('\n', '\r\n'),
	),
	async 'found by X509_USER_CERT and X509_USER_KEY'({users: {alice}}) {
		const env = {X509_USER_CERT: alice.certificate, X509_USER_KEY: alice.key};
		return {options: {}, env, subject: alice.subject};
	},
};

/** Proxies (RFC 3820). */
export const proxyForms: Readonly<Record<string, FormMaker>> = {
	'a proxy': proxyOf(pki => makeProxy(pki, 'proxy', pki.users.alice)),
	'a proxy of a proxy': proxyOf(async pki => {
		const first = await makeProxy(pki, 'first', pki.users.alice);
		return makeProxy(pki, 'second', {certificate: first, key: first}, {valid: '0:30'});
	}),
	'a limited proxy': proxyOf(pki => makeProxy(pki, 'limited', pki.users.alice, {limited: true})),
	'a proxy of a robot': proxyOf(pki => makeProxy(pki, 'robot-proxy', pki.users.robot)),
	'a proxy of an ECDSA key': proxyOf(pki => makeProxy(pki, 'ecdsa-proxy', pki.users.ecdsa)),
	'a proxy with the attributes of a virtual organisation': proxyOf(pki =>
		makeVomsProxy(pki, 'voms', pki.users.alice),
	),
	async 'found by X509_USER_PROXY'(pki) {
		const {options, subject} = await (proxyForms['a proxy'] as FormMaker)(pki);
		return {options: {}, env: {X509_USER_PROXY: options.proxy as string}, subject};
	},
};

function pair(user: GridUser, more: GridForm['options'] = {}): FormMaker {
	return async ({users}) => {
		const {certificate, key, subject} = users[user];
		return {options: {certificate, key, ...more}, subject};
	};
}

/** The user's certificate with a key that a command of `openssl` has written again. */
function withKey(user: GridUser, command: string, ...parameters: string[]): FormMaker {
	return async pki => {
		const {certificate, key, subject} = pki.users[user];
		const file = await newFile(pki, 'key', command, '-in', key, ...parameters);
		const isEncrypted = parameters.includes('-passout');
		return {options: {certificate, key: file, ...(isEncrypted && {passphrase})}, subject};
	};
}

function pkcs12(user: GridUser, ...parameters: string[]): FormMaker {
	return async pki => {
		const {certificate, key, subject} = pki.users[user];
		const source = ['-export', '-in', certificate, '-inkey', key, ...encrypted];
		return {
			options: {pkcs12: await newFile(pki, 'p12', 'pkcs12', ...source, ...parameters), passphrase},
			subject,
		};
	};
}

function withCertificate(write: (own: string, chain: string) => string): FormMaker {
	return async ({users: {alice}, ca, folder}) => {
		const certificate = join(folder, `chain-${++files}.pem`);
		await writeFile(
			certificate,
			write(await readFile(alice.certificate, 'utf8'), await readFile(ca, 'utf8')),
		);
		return {options: {certificate, key: alice.key}, subject: alice.subject};
	};
}

function proxyOf(make: (pki: GridPki) => Promise<string>): FormMaker {
	return async pki => {
		const proxy = await make(pki);
		const line = await pki.openssl('x509', '-in', proxy, '-noout', '-subject', '-nameopt', 'RFC2253');
		return {options: {proxy}, subject: line.trim().replace('subject=', '')};
	};
}

let files = 0;

async function newFile({folder, openssl}: GridPki, suffix: string, ...parameters: string[]): Promise<string> {
	const file = join(folder, `form-${++files}.${suffix}`);
	await openssl(...parameters, '-out', file);
	await chmod(file, 0o600);
	return file;
}
