/** A key in PEM where the name of its file belongs: the mistake is told, and the key is not. */
import {generateKeyPairSync} from 'node:crypto';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {inspect} from 'node:util';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {IdentityStore} from '../../src/identities/identity-store.ts';
import {createGatepass, isFileContent, resolvePath} from '../../src/index.ts';
import {createWorkspace} from '../cli/command-line.ts';

const pem = generateKeyPairSync('ec', {namedCurve: 'P-256'}).privateKey.export({
	type: 'pkcs8',
	format: 'pem',
}) as string;
const base64 = pem.split('\n').slice(1, -2).join('');
const rsa = generateKeyPairSync('rsa', {modulusLength: 2048})
	.privateKey.export({type: 'pkcs8', format: 'der'})
	.toString('base64url');

/** As it comes out of files, of variables with escaped line ends, and of secrets that were encoded once more. */
const forms: readonly [string, string][] = [
	['PEM', pem],
	['PEM with escaped line ends', pem.replaceAll('\n', '\\n')],
	['PEM in one line', pem.replaceAll('\n', ' ')],
	['base64 of DER', rsa],
	['base64 of PEM', Buffer.from(pem).toString('base64')],
];
const options = ['certificate', 'key', 'pkcs12', 'proxy', 'directory'] as const;

let folder: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'gatepass-content-'));
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

function expectUntold(text: string): void {
	for (const secret of [pem, base64, base64.slice(20, 60), rsa, rsa.slice(100, 140)]) {
		expect(text).not.toContain(secret);
	}
}

async function failureOf(work: Promise<unknown>): Promise<Error> {
	const error = await work.then(
		() => new Error('It was taken'),
		(failure: Error) => failure,
	);
	expectUntold(`${error.message}${inspect(error, {depth: 10, showHidden: true})}${JSON.stringify(error)}`);
	return error;
}

describe.each(forms)('%s', (_, written) => {
	test.each(options)('in the option %s of a rule', async option => {
		const other = {certificate: {key: 'key.pem'}, key: {certificate: 'cert.pem'}}[option as 'key'] ?? {};
		const config = {
			hostRules: [
				{match: 'h.example.org', strategy: 'grid-certificate', options: {[option]: written, ...other}},
			],
		};
		const error = await failureOf(createGatepass({config: config as never, env: {HOME: folder}}));
		expect(error.message).toContain(`hostRules[0].options.${option}`);
		expect(error.message).toContain('holds text where the name of a file belongs. Write it into a file');
	});

	test.each(options)('in the source of an identity: %s', async option => {
		const other = {certificate: {key: 'key.pem'}, key: {certificate: 'cert.pem'}}[option as 'key'] ?? {};
		const store = new IdentityStore(folder, {HOME: folder});
		const source = {[option]: written, ...other};
		const error = await failureOf(store.load(source));
		expect(error.message).toBe(
			`The option '${option}' holds text where the name of a file belongs. Write it into a file, and name that`,
		);
		expectUntold(store.explain(source).join());
	});

	test.each(['X509_USER_PROXY', 'X509_USER_CERT', 'X509_USER_KEY', 'CERN_CERTIFICATE_PATH'])(
		'in the variable %s',
		async variable => {
			const environment = {
				...(variable !== 'X509_USER_PROXY' && {X509_USER_CERT: 'cert.pem', X509_USER_KEY: 'key.pem'}),
				...(variable === 'CERN_CERTIFICATE_PATH' && {X509_USER_CERT: '', X509_USER_KEY: ''}),
				[variable]: written,
			};
			const store = new IdentityStore(folder, {HOME: folder, ...environment}, {proxyFolder: folder});
			const error = await failureOf(store.load({}));
			expect(error.message).toMatch(
				new RegExp(`^The variable ${variable} holds text where the name of a file belongs\\.`),
			);
		},
	);

	test('where any other option names a file', () => {
		expect(() => resolvePath(written, folder, {})).toThrow(
			/^Text of \d+ characters is given where the name of a file belongs\. Write it into a file, and name that$/,
		);
	});
});

test('names of files are no content, however long their path', () => {
	const long = Array.from({length: 20}, () => 'x'.repeat(200)).join('/');
	for (const name of [
		'~/.globus/usercert.pem',
		'./key (2).pem',
		'MIIE.pem',
		'Schlüssel-ÄÖÜ.pem',
		`/${long}`,
		'C:\\keys\\a.pem',
	]) {
		expect(isFileContent(name), name).toBe(false);
	}
});

test('the command line does not repeat it', async () => {
	const workspace = await createWorkspace();
	try {
		writeFileSync(workspace.path('.env'), `KEY=${JSON.stringify(pem)}\n`);
		await workspace.configure({
			hostRules: [
				{
					match: 'h.example.org',
					strategy: 'grid-certificate',
					options: {certificate: 'cert.pem', key: '$' + '{KEY}'},
				},
			],
		} as never);
		for (const parameters of [
			['status'],
			['doctor'],
			['explain', 'https://h.example.org/'],
			['cert', 'inspect', pem],
		]) {
			const {code, stdout, stderr} = await workspace.run(parameters, {env: {GATEPASS_DEBUG: '1'}});
			expect(code).toBeGreaterThan(0);
			expectUntold(stdout + stderr);
			expect(stdout + stderr).toMatch(/the\s+name\s+of\s+a\s+file\s+belongs/);
		}
	} finally {
		await workspace.close();
	}
});
