/** Certificates on the command line: where one was looked for, and the passphrase that a terminal is asked for. */
import {createPrivateKey} from 'node:crypto';
import {existsSync, readFileSync} from 'node:fs';
import {stripVTControlCharacters} from 'node:util';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {type MtlsServer, startMtlsServer} from '../../src/testing/index.ts';
import {createWorkspace, type Workspace} from './command-line.ts';

const passphrase = 'canary-passphrase';

let mtls: MtlsServer;
let workspace: Workspace;

beforeAll(async () => {
	mtls = await startMtlsServer();
});
afterAll(() => mtls.close());
beforeEach(async () => {
	workspace = await createWorkspace();
});
afterEach(() => workspace.close());

async function configure(options: Record<string, unknown> = {}): Promise<void> {
	await workspace.configure({
		cache: {url: 'memory:'},
		trust: [{match: mtls.url, ca: mtls.ca, only: true}],
		hostRules: [{match: mtls.url, strategy: 'grid-certificate', options}],
	});
}

const defaultProxy = `/tmp/x509up_u${process.geteuid?.()}`;

// Where the user who runs the tests has a proxy, that is found, as it should be.
describe.skipIf(existsSync(defaultProxy))(
	'explain and status show each place and why it was passed over',
	() => {
		const places = (): string[] => [
			'the variable X509_USER_PROXY: passed over: it is not set',
			`${defaultProxy}: passed over: it does not exist`,
			'the variables X509_USER_CERT and X509_USER_KEY: passed over: they are not set',
			'the variable CERN_CERTIFICATE_PATH: passed over: it is not set',
			`${workspace.path('private')}: passed over: it lacks userkey.pem`,
			`${workspace.path('.globus/usercert.pem')} with ${workspace.path('.globus/userkey.pem')}: taken`,
		];
		beforeEach(async () => {
			await configure();
			const [certificate, key] = [mtls.client.certificate, mtls.client.key].map(file =>
				readFileSync(file, 'utf8'),
			);
			await workspace.write('private/usercert.pem', certificate as string);
			await workspace.write('.globus/usercert.pem', certificate as string);
			await workspace.write('.globus/userkey.pem', key as string);
		});

		test('for a person', async () => {
			const explained = await workspace.run(['explain', mtls.url]);
			expect(explained.stdout).toContain(
				`\n${places()
					.map(place => `  ${place}\n`)
					.join('')}`,
			);
			const {stdout, code} = await workspace.run(['status']);
			expect(stdout).toContain(
				`CN=alice,O=gatepass test from ${workspace.path('.globus/usercert.pem')}, until `,
			);
			expect(stdout).toContain(
				`\n${places()
					.map(place => `    ${place}\n`)
					.join('')}`,
			);
			expect(code).toBe(0);
		});

		test('for a machine', async () => {
			const explained = await workspace.run(['explain', '--json', mtls.url]);
			expect(JSON.parse(explained.stdout).notes).toEqual(places());
			const {stdout} = await workspace.run(['status', '--json']);
			expect(JSON.parse(stdout)[0]).toMatchObject({available: true, notes: places()});
		});

		test('also where what was found cannot be used', async () => {
			await workspace.write('.globus/userkey.pem', 'nothing');
			const {stdout, code} = await workspace.run(['status', '--json']);
			expect(JSON.parse(stdout)[0]).toMatchObject({
				available: false,
				detail: expect.stringMatching(/userkey\.pem holds no private key/),
				notes: places(),
			});
			expect(code).toBe(1);
		});
	},
);

describe('a key that is encrypted', () => {
	let key: string;
	beforeEach(async () => {
		const text = createPrivateKey(readFileSync(mtls.client.key)).export({
			type: 'pkcs8',
			format: 'pem',
			cipher: 'aes-256-cbc',
			passphrase,
		});
		key = await workspace.write('encrypted.pem', String(text));
		await configure({certificate: mtls.client.certificate, key});
	});
	const question = 'Passphrase of encrypted.pem';
	const commands: [string, string[], RegExp][] = [
		['request', ['request'], /"subject":"CN=alice"/],
		['status', ['status'], /✔ https:/],
		['doctor', ['doctor'], /CN=alice,O=gatepass test from/],
	];

	test.each(commands)(
		'%s asks a terminal for the passphrase, without showing it',
		async (_, command, expected) => {
			const args = command[0] === 'request' ? [...command, mtls.url] : command;
			const {stdout} = await workspace.runOnTerminal(args, {answers: [[question, `${passphrase}\r`]]});
			expect(stripVTControlCharacters(stdout)).toMatch(expected);
			expect(stdout).not.toContain('canary');
			expect(stdout).not.toContain('▪');
		},
	);

	test('a wrong one is told as such', async () => {
		const answers = [[question, 'canary-wrong\r']] as const;
		const {stdout, code} = await workspace.runOnTerminal(['request', mtls.url], {answers});
		expect(stdout).toContain('does not open with the passphrase given');
		expect(stdout).not.toContain('canary');
		expect(code).toBe(1);
	});

	test('Control-C ends the command', async () => {
		const answers = [[question, '\u0003']] as const;
		const {code} = await workspace.runOnTerminal(['request', mtls.url], {answers});
		expect(code).toBe(130);
	});

	test('Control-D answers nothing, so nothing was done', async () => {
		const answers = [[question, '\u0004']] as const;
		const {code, stdout} = await workspace.runOnTerminal(['request', mtls.url], {answers});
		expect(code).toBe(1);
		expect(stdout.replace(/\s+/g, ' ')).toContain('The input ended before the question was answered');
		// The cursor is back.
		expect(stdout.lastIndexOf('\u001B[?25h')).toBeGreaterThan(stdout.lastIndexOf('\u001B[?25l'));
	});

	test('nobody is asked where there is no terminal, or a machine reads', async () => {
		const {stderr, code} = await workspace.run(['request', mtls.url]);
		expect(stderr).toMatch(/encrypted\.pem is encrypted\. Give the option 'passphrase'/);
		expect(code).toBe(1);
		const {stdout} = await workspace.runOnTerminal(['--json', 'request', mtls.url]);
		expect(stdout).toContain('ERR_GATEPASS_CERTIFICATE');
		expect(stdout).not.toContain(question);
	});

	test('nobody is asked where the passphrase is in a variable or a file', async () => {
		await workspace.write('passphrase', `${passphrase}\n`);
		for (const written of ['${KEY_PASSPHRASE}', '${file:./passphrase}']) {
			await configure({certificate: mtls.client.certificate, key, passphrase: written});
			const {stdout} = await workspace.runOnTerminal(['request', mtls.url], {
				env: {KEY_PASSPHRASE: passphrase},
			});
			expect(stdout).toContain('"subject":"CN=alice"');
			expect(stdout).not.toContain(question);
		}
	});
});
