/** `gatepass cert request`, `install`, `list` and `revoke`, as they are typed. */
import {existsSync, readFileSync} from 'node:fs';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {createTestAuthority, type TestAuthority} from '../../src/testing/index.ts';
import {describeWith, findProgram} from '../servers/availability.ts';
import {createWorkspace, type Outcome, type Workspace} from './command-line.ts';

const answers = {
	memberCategory: 'STAFF',
	ownsServiceAccount: true,
	forwardsMail: true,
	forSharing: false,
	forAccount: false,
};
const asked = ['cert', 'request', '--robot', '--service-account', 'cmsprod', '--checklist', 'answers.json'];
const subject = 'CN=Robot: cmsprod,OU=Users,DC=example';

let authority: TestAuthority;
let workspace: Workspace;

beforeAll(async () => {
	authority = await createTestAuthority();
});
afterAll(() => authority?.close());
beforeEach(async () => {
	workspace = await createWorkspace();
	await workspace.write('answers.json', JSON.stringify(answers));
});
afterEach(() => workspace.close());

const errorOf = ({stderr}: Outcome) => JSON.parse(stderr).error;

/** Ask, and have it issued into a file. */
async function issue(name = 'issued.pem'): Promise<void> {
	const {stdout} = await workspace.run([...asked, '--key-type', 'ecdsa', '--json']);
	const {request} = JSON.parse(stdout);
	await workspace.write(name, await authority.sign(readFileSync(request, 'utf8'), {subject}));
}

describe('by hand', () => {
	test('what to hand in where is printed, and the key is not', async () => {
		const {code, stdout, stderr} = await workspace.run(asked);
		expect({code, stderr}).toEqual({code: 0, stderr: ''});
		const [, request = '', key = ''] = /request {2}(\S+)\n {2}key {6}(\S+)/.exec(stdout) ?? [];
		expect(stdout).toContain('a certificate for CN=Robot: cmsprod');
		expect(stdout).toContain('https://ca.cern.ch/ca/');
		expect(stdout).toContain(readFileSync(workspace.path(request), 'utf8').trim());
		expect(stdout).toContain("Run 'gatepass cert install FILE'.");
		const [, secret = ''] = readFileSync(workspace.path(key), 'utf8').split('\n');
		expect(secret.length).toBeGreaterThan(60);
		expect(stdout).not.toContain(secret);
		expect(key).toBe('.globus/.gatepass/pending/userkey.pem');
	});

	test('for machines, and asked for again without the answers', async () => {
		const first = JSON.parse((await workspace.run([...asked, '--to', 'id', '--json'])).stdout);
		expect(first).toMatchObject({
			request: workspace.path('id/.gatepass/pending/usercert_request.pem'),
			key: workspace.path('id/.gatepass/pending/userkey.pem'),
			folder: workspace.path('id'),
			subject: 'CN=Robot: cmsprod',
			serviceAccount: 'cmsprod',
			renewal: false,
			wasPending: false,
			authority: 'by-hand',
		});
		const {stdout} = await workspace.run(['cert', 'request', '--robot', '--to', 'id', '--json']);
		expect(JSON.parse(stdout)).toEqual({...first, wasPending: true});
	});

	test('from the request to the list, to the successor and back', async () => {
		await issue();
		const installed = await workspace.run(['cert', 'install', 'issued.pem']);
		expect(installed).toMatchObject({code: 0, stderr: ''});
		expect(installed.stdout).toMatch(
			/^✔ installed CN=Robot: cmsprod,OU=Users,DC=example, until .* \(in 24 hours\)\n/,
		);
		const [listed, ...others] = JSON.parse((await workspace.run(['cert', 'list', '--json'])).stdout);
		expect(others).toEqual([]);
		expect(listed).toMatchObject({name: 'cmsprod', domains: [], kind: 'robot', subject, due: false});
		expect(listed.notAfter).toBeGreaterThan(Date.now());

		await issue('next.pem');
		expect((await workspace.run(['cert', 'list'])).stdout).toMatch(
			/✔ cmsprod +robot +.*\n.*a request is pending since/,
		);
		const next = await workspace.run(['cert', 'install', 'next.pem']);
		expect(next.stdout).toContain("'gatepass cert install --rollback' goes back to it.");
		const back = await workspace.run(['cert', 'install', '--rollback']);
		expect(back.stdout).toMatch(/^✔ went back to CN=Robot: cmsprod/);
		const again = await workspace.run(['cert', 'install', '--rollback']);
		expect(again.code).toBe(1);
		expect(again.stderr).toContain('There is no certificate before the present one');
	});

	test('from stdin', async () => {
		await issue();
		const input = readFileSync(workspace.path('issued.pem'), 'utf8');
		expect(await workspace.run(['cert', 'install', '-'], {input})).toMatchObject({code: 0, stderr: ''});
		const {code, stderr} = await workspace.run(['cert', 'install', '-'], {input: 'x'.repeat(1_100_000)});
		expect(code).toBe(2);
		expect(stderr).toContain('more than a certificate');
	});

	test('revoked it is by hand, too', async () => {
		await issue();
		await workspace.run(['cert', 'install', 'issued.pem']);
		const {code, stdout} = await workspace.run(['cert', 'revoke', '--json']);
		expect(code).toBe(0);
		expect(JSON.parse(stdout)).toMatchObject({revoked: false, subject});
		expect((await workspace.run(['cert', 'list'])).stdout).not.toContain('revoked');
	});

	test('without a file there is nothing to install', async () => {
		await issue();
		const outcome = await workspace.run(['cert', 'install', '--json']);
		expect(outcome.code).toBe(1);
		expect(errorOf(outcome).message).toContain('was handed in by hand');
	});
});

describe('the rules', () => {
	test('each that is not met is named, with what to do, and nothing is made', async () => {
		await workspace.write(
			'answers.json',
			JSON.stringify({...answers, forwardsMail: false, forSharing: true}),
		);
		const outcome = await workspace.run([...asked, '--json']);
		expect(outcome.code).toBe(1);
		expect(errorOf(outcome)).toMatchObject({name: 'GatepassError', code: 'ERR_GATEPASS'});
		expect(errorOf(outcome).message).toMatch(
			/does not meet 2 rules:\n {2}forwardsMail: .+\. .+\n {2}forSharing: .+\. .+$/,
		);
		expect(existsSync(workspace.path('.globus'))).toBe(false);
	});

	test('nobody is there to be asked', async () => {
		const outcome = await workspace.run(asked.slice(0, -2));
		expect(outcome.code).toBe(2);
		expect(outcome.stderr).toContain('--checklist');
	});
});

describe('an authority of one’s own', () => {
	const module = `
		import {readFileSync, writeFileSync} from 'node:fs';
		export default {
			async request({request}) {
				writeFileSync(new URL('handed-in.pem', import.meta.url), request);
				return {reference: 'order-1'};
			},
			async poll() {
				try {
					readFileSync(new URL('issued.pem', import.meta.url));
					return {state: 'issued'};
				} catch {
					return {state: 'waiting', detail: 'the team leader has to agree'};
				}
			},
			collect: async () => readFileSync(new URL('issued.pem', import.meta.url)),
			async revoke(certificate, reason) {
				writeFileSync(new URL('revoked.txt', import.meta.url), reason);
				return {};
			},
		};`;

	test('in a module', async () => {
		await workspace.write('ca.mjs', module);
		const {code, stdout} = await workspace.run([...asked, '--authority', 'ca.mjs']);
		expect(code).toBe(0);
		expect(stdout).toContain('handed in, as order-1');
		expect(stdout).not.toContain('BEGIN');
		const waiting = await workspace.run(['cert', 'install']);
		expect(waiting.code).toBe(1);
		expect(waiting.stderr).toContain(
			'has not been issued yet: the team leader has to agree. Run this command',
		);
		const request = readFileSync(workspace.path('handed-in.pem'), 'utf8');
		await workspace.write('issued.pem', await authority.sign(request, {subject}));
		expect((await workspace.run(['cert', 'install'])).code).toBe(0);
		const revoked = await workspace.run(['cert', 'revoke', '--reason', 'cessationofoperation']);
		expect(revoked.stdout).toMatch(
			/^✔ revoked CN=Robot: cmsprod,OU=Users,DC=example, serial number [0-9A-F]+\n$/,
		);
		expect(readFileSync(workspace.path('revoked.txt'), 'utf8')).toBe('cessationOfOperation');
		expect((await workspace.run(['cert', 'list'])).stdout).toMatch(/✖ cmsprod .*\n.*it is revoked/);
	});

	test.each([
		['export default {request() {}};', 'it lacks poll, collect, revoke'],
		['export default 7;', 'it lacks request, poll, collect, revoke'],
		['throw new Error("broken")', 'cannot be loaded: broken'],
	])('%s is none', async (text, message) => {
		await workspace.write('ca.mjs', text);
		const outcome = await workspace.run([...asked, '--authority', 'ca.mjs', '--json']);
		expect(outcome.code).toBe(1);
		expect(errorOf(outcome).message).toContain(message);
		// The request is kept, and handed in by the next try.
		await workspace.write('ca.mjs', module);
		expect((await workspace.run([...asked, '--authority', 'ca.mjs'])).stdout).toContain(
			'handed in, as order-1',
		);
	});
});

describe('usage', () => {
	test.each([
		[['cert', 'request'], '--robot is the one kind'],
		[['cert', 'instal'], "unknown command 'instal'\n(Did you mean install?)"],
		[['cert'], "A command is missing. 'gatepass cert --help' lists them"],
		[['cert', 'install', 'x', '--rollback'], 'so it takes no file'],
		[[...asked, '--authority', 'a', '--authority-command', 'b'], "cannot be used with option '--authority"],
		[[...asked, '--authority-command', ' '], 'is empty'],
		[[...asked, '--key-type', 'dsa'], 'Allowed choices are rsa, ecdsa'],
		[['cert', 'revoke', '--reason', 'boredom'], 'Allowed choices are unspecified, keycompromise'],
	])('%j', async (args, message) => {
		const outcome = await workspace.run([...args, '--json']);
		expect(outcome).toMatchObject({code: 2, stdout: ''});
		expect(errorOf(outcome).code).toBe('ERR_GATEPASS_USAGE');
		expect(errorOf(outcome).message).toContain(message);
	});

	test('an error of a command in the group leads to its own help', async () => {
		const {stderr} = await workspace.run(['cert', 'install', '--bogus']);
		expect(stderr).toContain("Run 'gatepass cert install --help' for usage and examples.");
	});

	test.each(['list', 'request', 'install', 'revoke'])('the help of %s has examples', async command => {
		const {code, stdout} = await workspace.run(['cert', command, '--help']);
		expect(code).toBe(0);
		expect(stdout).toMatch(new RegExp(`^Usage: gatepass cert ${command} `));
		expect(stdout).toMatch(new RegExp(`\nExamples:\n {2}gatepass cert ${command}`));
	});

	test('a place that cannot be written to is named', async () => {
		const {code, stderr} = await workspace.run([...asked, '--to', 'answers.json/id']);
		expect(code).toBe(1);
		expect(stderr).toContain(`${workspace.path('answers.json/id')} cannot be written (ENOTDIR)`);
	});
});

const terminal = {
	name: 'a terminal',
	whyUnavailable: () =>
		findProgram('script') === undefined ? "the program 'script' is not there" : undefined,
	install: 'apt-get install bsdutils',
};

describeWith(terminal, 'on a terminal', () => {
	test('what was not told is asked', async () => {
		const child = workspace.startOnTerminal(['cert', 'request', '--robot', '--key-type', 'ecdsa']);
		const answers = [
			['The service account', 'cmsprod\r'],
			['Your status', '\r'],
			['Do you own', 'y'],
			['forwarded', 'y'],
			['to be shared', 'n'],
			['the service account itself', 'n'],
		] as const;
		let answered = 0;
		let shown = '';
		for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
			shown += chunk;
			const [question, answer] = answers[answered] ?? [];
			if (question === undefined || !shown.includes(question)) continue;
			shown = '';
			answered++;
			child.stdin?.write(answer);
		}
		expect(answered).toBe(answers.length);
		expect(shown).toContain('-----END CERTIFICATE REQUEST-----');
		expect(existsSync(workspace.path('.globus/.gatepass/pending/userkey.pem'))).toBe(true);
	});
});
