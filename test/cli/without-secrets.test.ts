/** What the command line does where something is missing that others set: secrets, a module that loads. */
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {createWorkspace, type Workspace} from './command-line.ts';

let workspace: Workspace;
beforeAll(async () => {
	workspace = await createWorkspace();
});
afterAll(async () => workspace?.close());

describe('explain', () => {
	const configuration = `cache: {url: 'redis://:\${REDIS_PASSWORD}@localhost', encryptionKey: '\${CACHE_KEY}'}
hostRules:
  - match: https://api.example.org
    strategy: sso-client-credentials
    options:
      clientId: \${CLIENT}
      clientSecret: \${file:/run/secrets/none}
      tokenEndpoint: \${ENDPOINT}
  - match: https://keys.example.org
    strategy: static-token
    options: {token: '\${KEY}'}
`;

	test('needs no variable and no file of a secret, and names what is missing for requests', async () => {
		await workspace.write('gatepass.config.yaml', configuration);
		const {code, stdout, stderr} = await workspace.run(['explain', 'https://api.example.org/x']);
		expect({code, stderr}).toEqual({code: 0, stderr: ''});
		expect(stdout).toContain('uses sso-client-credentials by the rule for https://api.example.org');
		expect(stdout).toContain('options.clientId: the variable CLIENT is not set');
		expect(stdout).toContain('options.clientSecret: /run/secrets/none does not exist');
		expect(stdout).toContain('options.tokenEndpoint: the variable ENDPOINT is not set');
		expect(stdout).not.toContain('KEY');
		const json = await workspace.run(['explain', 'keys.example.org', '--json']);
		expect(JSON.parse(json.stdout)).toMatchObject({
			rule: {strategy: 'static-token'},
			notes: ['options.token: the variable KEY is not set'],
		});
	});

	test('every other command still says what is missing', async () => {
		await workspace.write('gatepass.config.yaml', configuration);
		const {code, stderr} = await workspace.run(['status']);
		expect(code).toBe(3);
		for (const name of ['REDIS_PASSWORD', 'CACHE_KEY', 'CLIENT', 'ENDPOINT', 'KEY']) {
			expect(stderr).toContain(`the variable ${name} is not set`);
		}
	});

	test('what decides on the rule has to be there, and other mistakes are mistakes', async () => {
		await workspace.write(
			'gatepass.config.yaml',
			"hostRules: [{match: 'https://${HOST}', strategy: none}, {match: a.example.org, strategy: static-token, options: {tokne: x}}]\n",
		);
		const {code, stderr} = await workspace.run(['explain', 'https://a.example.org']);
		expect(code).toBe(3);
		expect(stderr).toContain('the variable HOST is not set');
		expect(stderr).toContain('Did you mean token?');
	});
});

describe('a strategy module that cannot be loaded names the reason, once', () => {
	const good = "export default {name: 'mine', async *authenticate() { yield; }};";
	test.each<[string, Record<string, string>, string, string]>([
		[
			'./strategy.js',
			{'package.json': '{"type": "commonjs"}', 'strategy.js': `import fs from 'node:fs';\n${good}`},
			'is written as an ES module, and its package.json says that it is none',
			'"type": "module"',
		],
		[
			'./strategy.js',
			{'package.json': '{"type": "module"}', 'strategy.js': "const {z} = require('zod');"},
			'is written as CommonJS',
			'.cjs',
		],
		[
			'./strategy.mjs',
			{'strategy.mjs': "import {z} from 'zod';"},
			"imports 'zod', which is not installed",
			'npm install zod',
		],
		[
			'./strategy.cjs',
			{'strategy.cjs': "require('@scope/zod/mini');"},
			"imports '@scope/zod/mini', which is not installed",
			'npm install @scope/zod',
		],
		['./strategy.mjs', {'strategy.mjs': "import './helper';"}, 'which does not exist', 'with its ending'],
		[
			'./strategy.mjs',
			{'strategy.mjs': "import {writeFiel} from 'node:fs';"},
			"imports 'writeFiel' from 'node:fs'",
			'right name',
		],
		[
			'./strategy.mjs',
			{'strategy.mjs': "const key = 'hunter2';\nexport default {,};"},
			'has a syntax error',
			'node --check',
		],
		[
			'./strategy.cjs',
			{'strategy.cjs': "const key = 'hunter2';\n\nmodule.exports = {,};"},
			'has a syntax error at FOLDER/strategy.cjs:3',
			'node --check',
		],
		[
			'./strategy.mjs',
			{'strategy.mjs': "\nJSON.parse('hunter2');"},
			'it throws SyntaxError at FOLDER/strategy.mjs:2',
			'to see why',
		],
		[
			'./strategy.mjs',
			{'strategy.mjs': "\n\nthrow new RangeError('hunter2');"},
			'it throws RangeError at FOLDER/strategy.mjs:3',
			'to see why',
		],
		[
			'./strategy.ts',
			{'package.json': '{"type": "module"}', 'strategy.ts': 'enum A {b}\n'},
			'has TypeScript that Node does not take',
			'Compile it',
		],
		['./missing.js', {}, 'does not exist', './'],
		['missing', {}, 'does not exist', './'],
	])('%s %j: %s', async (module, files, why, hint) => {
		const own = await createWorkspace({
			strategies: [module],
			hostRules: [{match: 'a.example.org', strategy: 'mine'}],
		});
		try {
			for (const [name, text] of Object.entries(files)) await own.write(name, text);
			const {code, stderr} = await own.run(['status', '--json']);
			// Node warns of the first of these by itself.
			const {problems} = JSON.parse(stderr.slice(stderr.indexOf('{"error"'))).error;
			expect(code).toBe(3);
			expect(problems).toEqual([
				expect.objectContaining({
					path: 'strategies[0]',
					message: expect.stringContaining(why.replace('FOLDER', own.folder)),
					hint: expect.stringContaining(hint),
				}),
			]);
			expect(stderr).not.toContain('hunter2');
		} finally {
			await own.close();
		}
	});
});
