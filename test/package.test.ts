/** What is shipped, as its user meets it: packed, unpacked elsewhere, with nothing but its declared dependencies. */
import {execFile} from 'node:child_process';
import {existsSync} from 'node:fs';
import {
	copyFile,
	mkdir,
	mkdtemp,
	readdir,
	readFile,
	realpath,
	rm,
	symlink,
	writeFile,
} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest';
import {startTokenServer} from '../src/testing/index.ts';

const run = promisify(execFile);
const repository = fileURLToPath(new URL('..', import.meta.url));

interface Manifest {
	readonly exports: Readonly<Record<string, string | {readonly types: string; readonly default: string}>>;
	readonly bin: Readonly<Record<string, string>>;
	readonly dependencies: Readonly<Record<string, string>>;
}

/** A user's project, and the package in its node_modules. */
let project: string;
let installed: string;
let manifest: Manifest;
let packed: string[];

beforeAll(async () => {
	// Without links in its path: what Node loads is told by its real path.
	project = await realpath(await mkdtemp(join(tmpdir(), 'gatepass-package-')));
	installed = join(project, 'node_modules/gatepass');
	const {stdout} = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project], {
		cwd: repository,
	});
	const [{filename, files}] = JSON.parse(stdout);
	packed = files.map(({path}: {path: string}) => path);
	await mkdir(installed, {recursive: true});
	await run('tar', ['-xzf', join(project, filename), '--strip-components=1', '-C', installed]);
	manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
	// What a TypeScript user has besides.
	for (const name of [...Object.keys(manifest.dependencies), '@types/node']) await link(name);
	// And who imports 'gatepass/nestjs' or 'gatepass/fastify' has these.
	for (const name of ['@nestjs/common', 'fastify']) await link(name);
	await writeFile(join(project, 'package.json'), JSON.stringify({type: 'module'}));
});
afterAll(async () => {
	if (project !== undefined) await rm(project, {recursive: true, force: true});
});

/** As a package manager would put the dependency there; its own dependencies stand where it really is. */
async function link(name: string): Promise<void> {
	const place = join(project, 'node_modules', name);
	await mkdir(dirname(place), {recursive: true});
	await symlink(join(repository, 'node_modules', name), place);
}

/** Run a module in the user's project, and read the JSON that it prints. */
async function runInProject(name: string, source: string): Promise<unknown> {
	const file = join(project, name);
	await writeFile(file, source);
	const {stdout} = await run(process.execPath, [file], {cwd: project});
	return JSON.parse(stdout);
}

/** Every path that can be imported; the star of `./strategies/*` stands for each strategy that was built. */
async function importPaths(): Promise<string[]> {
	const folders = await readdir(join(installed, 'dist/strategies'));
	const strategies = folders.filter(name => existsSync(join(installed, 'dist/strategies', name, 'index.js')));
	return Object.keys(manifest.exports)
		.flatMap(path => (path.includes('*') ? strategies.map(name => path.replace('*', name)) : [path]))
		.map(path => `gatepass${path.slice(1)}`);
}

test('it holds the files that its manifest names, and no sources', () => {
	const named = Object.values(manifest.exports)
		.flatMap(target => (typeof target === 'string' ? [target] : Object.values(target)))
		.concat(Object.values(manifest.bin))
		.filter(file => !file.includes('*'));
	expect(named.filter(file => !existsSync(join(installed, file)))).toEqual([]);
	expect(packed).toEqual(expect.arrayContaining(['README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md']));
	expect(packed.filter(file => /(?<!\.d)\.ts$/.test(file) || /^(?:test|demo|scripts)\//.test(file))).toEqual(
		[],
	);
});

test('it is built where it is packed from a clean checkout, and brings its documentation', async () => {
	const checkout = await mkdtemp(join(tmpdir(), 'gatepass-checkout-'));
	onTestFinished(() => rm(checkout, {recursive: true, force: true}));
	const {stdout: list} = await run('git', ['ls-files', '-z'], {cwd: repository, maxBuffer: 2 ** 24});
	for (const file of list.split('\0').filter(name => name !== '' && existsSync(join(repository, name)))) {
		await mkdir(dirname(join(checkout, file)), {recursive: true});
		await copyFile(join(repository, file), join(checkout, file));
	}
	await symlink(join(repository, 'node_modules'), join(checkout, 'node_modules'));
	const {stdout} = await run('npm', ['pack', '--json', '--dry-run'], {cwd: checkout, maxBuffer: 2 ** 24});
	const [{files}] = JSON.parse(stdout.slice(stdout.indexOf('[')));
	const paths = files.map(({path}: {path: string}) => path);
	expect(paths).toEqual(
		expect.arrayContaining(['dist/src/index.js', 'dist/src/cli/main.js', 'docs/configuration.md']),
	);
});

test('it explains a diagnostic with the page that it brings along', async () => {
	const main = join(installed, manifest.bin.gatepass ?? '');
	const {stdout} = await run(process.execPath, [main, 'doctor', '--explain', 'not-a-robot'], {cwd: project});
	expect(stdout).toMatch(/^not-a-robot\n\n/);
	expect(stdout).toContain('\nWhat to do\n');
});

test('every export path can be imported', async () => {
	const paths = await importPaths();
	expect(paths).toEqual(expect.arrayContaining(['gatepass', 'gatepass/testing', 'gatepass/strategies/none']));
	const names = await runInProject(
		'import-all.js',
		`const names = {};
		for (const path of ${JSON.stringify(paths)}) {
			const type = path.endsWith('.json') ? {with: {type: 'json'}} : {};
			names[path] = Object.keys(await import(path, type));
		}
		console.log(JSON.stringify(names));`,
	);
	for (const path of paths) expect(names, path).toHaveProperty([path, 0]);
	expect(names).toMatchObject({
		gatepass: expect.arrayContaining(['createGatepass', 'defineStrategy', 'authStrategy', 'inject']),
		'gatepass/testing': expect.arrayContaining(['conformance', 'startTokenServer', 'startMtlsServer']),
		'gatepass/fastify': ['default', 'gatepassPlugin'],
		'gatepass/nestjs': expect.arrayContaining(['GatepassModule', 'GatepassHealthIndicator', 'GATEPASS']),
		'gatepass/strategies/grid-certificate': expect.arrayContaining(['GridCertificateStrategy']),
	});
});

test('a request goes through it, and nothing is loaded before a rule needs it', async () => {
	const result = await runInProject(
		'request.js',
		`import {registerHooks} from 'node:module';
		let loaded = [];
		registerHooks({
			load(url, context, next) {
				loaded.push(url);
				return next(url, context);
			},
		});
		const packagesLoaded = () => {
			const names = loaded.map(url => /.*\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1] ?? url);
			loaded = [];
			return [...new Set(names)].filter(name => !name.startsWith('node:')).sort();
		};
		const {createGatepass} = await import('gatepass');
		const onImport = packagesLoaded();
		const {startTokenServer} = await import('gatepass/testing');
		const api = await startTokenServer();
		const forTests = packagesLoaded();
		const gatepass = await createGatepass({
			config: {
				cache: {url: 'memory:'},
				hostRules: [
					{
						match: api.url,
						strategy: 'sso-client-credentials',
						options: {clientId: 'a', clientSecret: 'b', tokenEndpoint: api.tokenEndpoint},
					},
				],
			},
		});
		const onCreate = packagesLoaded();
		const answer = await gatepass.got(api.url + '/runs').json();
		await gatepass.close();
		await api.close();
		console.log(JSON.stringify({answer, onImport, forTests, onCreate, onUse: packagesLoaded()}));`,
	);
	expect(result).toMatchObject({answer: {path: '/runs', authorized: true}});
	const {onImport, forTests, onCreate, onUse} = result as Record<
		'onImport' | 'forTests' | 'onCreate' | 'onUse',
		string[]
	>;
	// Whatever is added here costs every program that imports gatepass, whether it sends a request or not.
	expect(onImport).toEqual(['gatepass', 'reflect-metadata', 'tslib', 'tsyringe']);
	// Who sends by fetch or undici never needs got.
	expect(onCreate).not.toContain('got');
	expect(onCreate).not.toContain('yaml');
	expect(onCreate).not.toContain('zod');
	const later = [...forTests, ...onCreate, ...onUse];
	expect(later).toEqual(expect.arrayContaining(['got', 'keyv', 'oauth4webapi']));
	const optional = ['@peculiar/x509', 'koffi', '@keyv/redis', '@keyv/postgres', '@opentelemetry/api'];
	expect(later.filter(name => optional.includes(name))).toEqual([]);
});

test('the request of the README runs in each way that it names', async () => {
	const readme = await readFile(join(installed, 'README.md'), 'utf8');
	const [, chapter = ''] = readme.split('\n## A request\n');
	const [, program = ''] = /```ts\n(.*?)```/s.exec(chapter) ?? [];
	const [, required = ''] = /From CommonJS, `(.*?)`/.exec(chapter) ?? [];
	expect(program).toContain("import {createGatepass} from 'gatepass';");
	expect(required).toContain("require('gatepass')");
	const api = await startTokenServer({clientId: 'a', clientSecret: 'b'});
	onTestFinished(() => api.close());
	const folder = await mkdtemp(join(project, 'readme-'));
	const match = api.url;
	const options = {tokenEndpoint: api.tokenEndpoint};
	await writeFile(
		join(folder, 'gatepass.config.json'),
		JSON.stringify({
			cache: {url: 'memory:'},
			hostRules: [{match, strategy: 'sso-client-credentials', options}],
		}),
	);
	const module = program.replace('https://api.example.org', api.url);
	const [, ...lines] = module.split('\n');
	const script = [required, '(async () => {', ...lines, '})();'].join('\n');
	for (const [name, type, text] of [
		['runs.mjs', 'commonjs', module],
		['runs.ts', 'module', module],
		['runs.js', 'commonjs', script],
	] as const) {
		await writeFile(join(folder, 'package.json'), JSON.stringify({type}));
		await writeFile(join(folder, name), text);
		const env = {...process.env, SSO_CLIENT_ID: 'a', SSO_CLIENT_SECRET: 'b', HOME: folder};
		const {stdout, stderr} = await run(process.execPath, [join(folder, name)], {cwd: folder, env});
		expect({name, stdout, stderr}).toEqual({
			name,
			stdout: expect.stringContaining("path: '/runs'"),
			stderr: '',
		});
	}
});

test('the bundles come along, and a script that uses gatepass/cern ends by itself', async () => {
	const result = await runInProject(
		'cern.js',
		`import {readFileSync} from 'node:fs';
		import {getApiToken, getWithToken, trustBundlePath} from 'gatepass/cern';
		// Before anybody imports gatepass itself.
		const client = {clientId: 'a', clientSecret: 'b', targetApplication: 'c'};
		const alone = await getApiToken({...client, tokenEndpoint: 'http://127.0.0.1:1'}).catch(({code}) => code);
		const {createGatepass} = await import('gatepass');
		const {startTokenServer} = await import('gatepass/testing');
		const gatepass = await createGatepass({config: {bundles: ['cern'], cache: {url: 'memory:'}, hostRules: []}});
		const {notes} = gatepass.explain('https://cmsweb.cern.ch/');
		await gatepass.close();
		const {url, tokenEndpoint, close} = await startTokenServer();
		const answer = await getWithToken(url + '/runs', {...client, tokenEndpoint}).json();
		await close();
		const authorities = ['cern', 'igtf'].map(name => readFileSync(trustBundlePath(name), 'utf8').match(/BEGIN/g).length);
		console.log(JSON.stringify({alone, answer, notes, authorities}));`,
	);
	expect(result).toEqual({
		alone: 'ERR_GATEPASS_TOKEN_REQUEST',
		answer: {path: '/runs', authorized: true},
		notes: ["The CA certificates of bundle:cern are trusted besides the system's"],
		authorities: [2, expect.any(Number)],
	});
});

test('a peer that is missing is told, with what to do', async () => {
	const problems = await runInProject(
		'missing-peers.js',
		`import {createGatepass} from 'gatepass';
		const problemsOf = settings => createGatepass(settings).then(() => undefined, ({code, problems}) => ({code, problems}));
		console.log(JSON.stringify({
			telemetry: await problemsOf({config: {hostRules: []}, telemetry: true}),
			redis: await problemsOf({config: {cache: {url: 'redis://localhost', encryption: 'off'}}}),
			postgres: await problemsOf({config: {cache: {url: 'postgres://localhost/db', encryption: 'off'}}}),
		}));`,
	);
	const told = (path: string, name: string) => ({
		code: 'ERR_GATEPASS_CONFIGURATION',
		problems: [
			expect.objectContaining({
				path,
				message: expect.stringContaining(`${name} is not installed`),
				hint: expect.stringContaining(`npm install ${name}`),
			}),
		],
	});
	expect(problems).toEqual({
		telemetry: told('telemetry', '@opentelemetry/api'),
		redis: told('cache.url', '@keyv/redis'),
		postgres: told('cache.url', '@keyv/postgres'),
	});
});

test('its types resolve as Node resolves modules, and they bind', async () => {
	await writeFile(
		join(project, 'consumer.ts'),
		`import type {Got} from 'got';
		import {authStrategy, createGatepass, defineStrategy, type Explanation, type Gatepass} from 'gatepass';
		import {GridCertificateStrategy} from 'gatepass/strategies/grid-certificate';
		import {conformance, startMtlsServer} from 'gatepass/testing';

		const apiKey = defineStrategy({
			name: 'api-key',
			async *authenticate(request) {
				request.headers.set('x-api-key', 'key');
				yield;
			},
		});
		const gatepass: Gatepass = await createGatepass({strategies: [apiKey, GridCertificateStrategy]});
		export const got: Got = gatepass.got;
		export const explanation: Explanation = gatepass.explain('https://example.org/', {method: 'GET'});
		export const checks: readonly string[] = await conformance(apiKey);
		export const ca: string = (await startMtlsServer()).ca;
		export {authStrategy};
		// @ts-expect-error: a rule without 'match' is none.
		await createGatepass({config: {hostRules: [{strategy: 'none'}]}});
		// @ts-expect-error: there is no such method.
		gatepass.authenticate();
		`,
	);
	const compilerOptions = {
		module: 'nodenext',
		target: 'es2023',
		lib: ['es2024', 'esnext.disposable'],
		types: ['node'],
		strict: true,
		exactOptionalPropertyTypes: true,
		skipLibCheck: true,
		noEmit: true,
	};
	await writeFile(join(project, 'tsconfig.json'), JSON.stringify({compilerOptions, files: ['consumer.ts']}));
	const compiler = join(repository, 'node_modules/typescript/bin/tsc');
	const {stdout} = await run(process.execPath, [compiler, '-p', project]).catch(
		(failure: {stdout: string}) => failure,
	);
	expect(stdout).toBe('');
});
