/**
 * Goes the way of docs/first-steps.md in an empty folder, step by step, and holds what the page shows against what
 * comes. Its hosts are a server on this machine. `vitest run test/cli/first-steps.test.ts -u` writes new output in.
 */
import {readFileSync} from 'node:fs';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {startTokenServer, type TokenServer} from '../../src/testing/index.ts';
import {createWorkspace, type Workspace} from './command-line.ts';
import {replay, wordsOf} from './replay.ts';

const document = new URL('../../docs/first-steps.md', import.meta.url);
const secret = 'canary-client-secret';

let workspace: Workspace;
let api: TokenServer;
beforeAll(async () => {
	[workspace, api] = await Promise.all([
		createWorkspace(),
		startTokenServer({clientId: 'runs-report', clientSecret: secret}),
	]);
});
afterAll(async () => {
	await Promise.all([workspace?.close(), api?.close()]);
});

const toServer = (text: string): string =>
	text
		.replaceAll('https://login.example.org/token', api.tokenEndpoint)
		.replaceAll('https://api.example.org', api.url);
const fromServer = (text: string): string =>
	text
		.replaceAll(api.tokenEndpoint, 'https://login.example.org/token')
		.replaceAll(api.url, 'https://api.example.org')
		.replaceAll(new URL(api.url).host, 'login.example.org')
		.replaceAll(workspace.folder, '/home/alice');

/** `.env` as the page says, made of what `init` wrote. */
async function fillIn(value: string): Promise<void> {
	const listed = readFileSync(workspace.path('.env.example'), 'utf8');
	const filled = listed
		.replace(/^SSO_CLIENT_ID=$/m, 'SSO_CLIENT_ID=runs-report')
		.replace(/^SSO_CLIENT_SECRET=$/m, `SSO_CLIENT_SECRET=${value}`);
	expect(filled).not.toBe(listed);
	await workspace.write('.env', filled);
}

/** What a person does between the commands. */
const meanwhile: Readonly<Record<string, () => Promise<unknown>>> = {
	'after init': () => {
		const [, configuration = ''] = /```yaml\n(.*?)```/s.exec(readFileSync(document, 'utf8')) ?? [];
		expect(configuration).toContain('hostRules:');
		return workspace.write('gatepass.config.yaml', toServer(configuration));
	},
	'after doctor': () => fillIn(secret),
	'after request -v': async () => {
		await workspace.run(['forget']);
		await fillIn('wrong');
	},
};

test('each step leads to the next one', async () => {
	const codes: string[] = [];
	const current = await replay(document, 6, async line => {
		const [npx, program, ...args] = wordsOf(line);
		expect([npx, program]).toEqual(['npx', 'gatepass']);
		// As npx sets it.
		const {code, stdout, stderr} = await workspace.run(args.map(toServer), {env: {npm_command: 'exec'}});
		codes.push(`${args[0]} ${code}`);
		const step = `after ${args.filter(word => !word.startsWith('https:')).join(' ')}`;
		await meanwhile[step]?.();
		return fromServer(stderr + stdout).replace(/(?<!\n)$/, '\n');
	});
	expect(codes).toEqual([
		'init 0',
		'doctor 1',
		'doctor 0',
		'explain 0',
		'request 0',
		'request 1',
		'doctor 1',
	]);
	expect(current).not.toContain('canary');
	await expect(current).toMatchFileSnapshot(document.pathname);
});
