import {readFileSync} from 'node:fs';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {createWorkspace, type Workspace} from './command-line.ts';

let workspace: Workspace;

beforeEach(async () => {
	workspace = await createWorkspace();
});

afterEach(async () => {
	await workspace.close();
});

const read = (name: string): string => readFileSync(workspace.path(name), 'utf8');

test.each([
	[[], 'https://files.example.org', 'https://api.example.org/runs/1'],
	[['--bundle', 'cern'], 'https://cmsweb.cern.ch', 'https://cmsoms.cern.ch/agg/api'],
	[['--bundle', 'igtf'], 'https://files.example.org', 'https://api.example.org/runs/1'],
])('what init %j writes loads without mistakes once its variables are set', async (options, files, api) => {
	const {code, stdout} = await workspace.run(['init', ...options]);
	expect(code).toBe(0);
	expect(stdout).toContain('wrote gatepass.config.yaml and .env.example');

	// Nobody else's hosts, unless they are asked for.
	expect(read('gatepass.config.yaml').includes('cern.ch')).toBe(options.includes('cern'));
	expect((await workspace.run(['explain', files])).stdout).toContain('uses grid-certificate');
	const unset = await workspace.run(['status']);
	expect(unset.code).toBe(3);
	const missing = [...unset.stderr.matchAll(/the variable (\w+) is not set/g)].map(match => match[1] ?? '');
	expect(missing).toEqual(['SSO_CLIENT_ID', 'SSO_CLIENT_SECRET']);
	for (const name of missing) expect(read('.env.example')).toMatch(new RegExp(`^${name}=$`, 'm'));

	await workspace.write('.env', read('.env.example').replaceAll(/^(\w+)=$/gm, '$1=value'));
	const explained = await workspace.run(['explain', api, '--json']);
	expect(explained.code).toBe(0);
	expect(JSON.parse(explained.stdout).rule.strategy).toBe('sso-client-credentials');
});

test.each([[[]], [['--bundle', 'cern']]])(
	'the parts of init %j that are commented out load too',
	async options => {
		await workspace.run(['init', ...options]);
		await workspace.write('lab-ca.pem', '');
		await workspace.write('strategies/api-key.js', 'export {NoneStrategy} from "gatepass/strategies/none";');
		const active = read('gatepass.config.yaml')
			.split('\n')
			// Settings, not sentences: what a person would take the `#` away from.
			.map(line => line.replace(/^( *)# ( *(?:- )?[a-zA-Z]+:(?: .*)?)$/, '$1$2'))
			.filter(line => !/^ *strategies:/.test(line))
			.join('\n');
		expect(active).toContain('\n  - match: https://status.example.org\n    strategy: none\n');
		expect(active).toContain('\ntrust:\n  - match: https://*.lab.example.org\n');
		await workspace.write('gatepass.config.yaml', active);
		const env = {SSO_CLIENT_ID: 'a', SSO_CLIENT_SECRET: 'b'};
		const {code, stderr} = await workspace.run(['explain', 'https://status.example.org'], {env});
		expect({code, stderr}).toEqual({code: 0, stderr: ''});
	},
);

test('files that exist are left alone, all or none, unless --force is given', async () => {
	await workspace.write('.env.example', 'mine');
	const refused = await workspace.run(['init', '--json']);
	expect(refused.code).toBe(1);
	expect(JSON.parse(refused.stderr).error.message).toMatch(
		/^\.env\.example is there already\. Nothing was written/,
	);
	expect(read('.env.example')).toBe('mine');
	expect(() => read('gatepass.config.yaml')).toThrow('ENOENT');

	const forced = await workspace.run(['init', '--json', '--force']);
	expect(forced.code).toBe(0);
	expect(JSON.parse(forced.stdout)).toEqual({
		written: [workspace.path('gatepass.config.yaml'), workspace.path('.env.example')],
	});
	expect(read('.env.example')).toContain('SSO_CLIENT_ID=');
});

test('-c names the file; it has to be YAML', async () => {
	expect((await workspace.run(['init', '-c', 'conf/mine.yaml'])).code).toBe(0);
	expect(read('conf/mine.yaml')).toContain('hostRules:');
	expect(read('conf/.env.example')).toContain('SSO_CLIENT_ID=');
	expect((await workspace.run(['init', '-c', 'mine.json'])).code).toBe(2);
});

test('a bundle that is none is told, with those that are', async () => {
	const {code, stderr} = await workspace.run(['init', '--bundle', 'cren']);
	expect(code).toBe(2);
	expect(stderr).toContain("There is no bundle 'cren'. Give one of cern, igtf");
	expect(() => read('gatepass.config.yaml')).toThrow('ENOENT');
});
