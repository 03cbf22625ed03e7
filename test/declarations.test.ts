/** A library made with gatepass gets declaration files under pnpm, too, where gatepass's dependencies are out of sight. */
import {execFile} from 'node:child_process';
import {readdirSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {expect, onTestFinished, test} from 'vitest';
import {isolateProject} from './isolated-package.ts';

test('what a library exports of gatepass can be written down with `declaration: true`', async () => {
	const project = await isolateProject();
	onTestFinished(() => project.close());
	await project.install('@types/node');
	await project.write(
		'library.ts',
		`import * as gatepassItself from 'gatepass';
		import * as cern from 'gatepass/cern';
		import * as testing from 'gatepass/testing';
		import {createGatepass, defineStrategy} from 'gatepass';
		export const gatepass = await createGatepass();
		export const client = gatepass.got;
		export const extended = gatepass.got.extend({});
		export const {got, fetch, dispatcher, explain, authorize, status, forget, certificates, flow, intercept, extend} = gatepass;
		export const response = await gatepass.got('https://a.example.org');
		export const stream = gatepass.got.stream('https://a.example.org');
		export const strategy = defineStrategy({name: 'mine', async *authenticate() { yield; }});
		export const make = (settings: Parameters<typeof createGatepass>[0]) => createGatepass(settings);
		export const everything = [{...gatepassItself}, {...cern}, {...testing}] as const;
		`,
	);
	const compilerOptions = {
		module: 'nodenext',
		target: 'es2023',
		lib: ['es2024', 'esnext.disposable'],
		types: ['node'],
		strict: true,
		declaration: true,
		skipLibCheck: true,
		outDir: 'out',
	};
	await project.write('tsconfig.json', JSON.stringify({compilerOptions, files: ['library.ts']}));
	const compiler = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
	const {stdout} = await promisify(execFile)(process.execPath, [compiler, '-p', project.folder]).catch(
		(failure: {stdout: string}) => failure,
	);
	expect(stdout).toBe('');
	expect(readdirSync(`${project.folder}/out`)).toContain('library.d.ts');
});
