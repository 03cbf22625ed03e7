/** The recipes of docs/bundling.md: a program that esbuild made works alone, with what the page says beside it. */
import {execFile} from 'node:child_process';
import {cp, mkdtemp, readFile, realpath, rm} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {delimiter, dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest';
import {type IsolatedProject, isolateProject} from './isolated-package.ts';
import {describeWith} from './servers/availability.ts';

const run = promisify(execFile);

const esbuild = {
	name: 'esbuild',
	install: 'npm ci',
	whyUnavailable() {
		try {
			createRequire(import.meta.url).resolve('esbuild');
			return undefined;
		} catch {
			return 'it is not installed';
		}
	},
};

const program = `
import got from 'got';
import {createServer} from 'node:http';
import {createGatepass, GatepassError} from 'gatepass';
const server = createServer((request, response) => response.end(JSON.stringify(request.headers.authorization)));
server.listen(0, '127.0.0.1', async () => {
	const url = 'http://127.0.0.1:' + server.address().port;
	const hostRules = [{match: url, strategy: 'static-token', options: {token: 'abc'}}];
	const gatepass = await createGatepass({got, config: {bundles: ['cern'], cache: {url: 'memory:'}, hostRules}});
	const viaGot = await gatepass.got(url).json();
	const viaFetch = await gatepass.fetch(url).then(response => response.json(), error => error.message);
	const {notes} = gatepass.explain('https://cmsweb.cern.ch');
	const redis = await createGatepass({got, config: {cache: {url: 'redis://a', encryption: 'off'}}}).catch(error => error);
	await gatepass.close();
	server.close();
	console.log(JSON.stringify({
		viaGot, viaFetch, notes,
		redis: redis instanceof GatepassError && redis.problems[0].message,
	}));
});
`;

let project: IsolatedProject;
/** The `sh` blocks of the page that call esbuild, as one command each. */
let commands: string[];

describeWith(esbuild, 'esbuild', () => {
	beforeAll(async () => {
		project = await isolateProject();
		await project.install('got');
		await project.write('app.js', program);
		const page = await readFile(new URL('../docs/bundling.md', import.meta.url), 'utf8');
		commands = [...page.matchAll(/```sh\n(esbuild [^`]+)```/g)].map(([, command = '']) => command);
	});
	afterAll(async () => project?.close());

	test.each(['app.mjs', 'app.cjs'])('%s works alone, with the CA certificates of CERN', async name => {
		const command = commands.find(text => text.includes(`out/${name}`)) ?? 'false';
		const own = createRequire(import.meta.url).resolve('esbuild/package.json');
		const PATH = [join(dirname(own), 'bin'), process.env.PATH].join(delimiter);
		const {stderr} = await run('bash', ['-c', `${command.trim()} --log-level=warning`], {
			cwd: project.folder,
			env: {...process.env, PATH},
		});
		expect(stderr).toBe('');
		const alone = await realpath(await mkdtemp(join(tmpdir(), 'gatepass-alone-')));
		onTestFinished(() => rm(alone, {recursive: true, force: true}));
		await cp(join(project.folder, 'out', name), join(alone, name));
		await cp(join(project.folder, 'node_modules/gatepass/bundles'), join(alone, 'bundles'), {
			recursive: true,
		});
		const start = async () =>
			JSON.parse((await run(process.execPath, [join(alone, name)], {cwd: alone})).stdout);
		const expected = {
			viaGot: 'Bearer abc',
			notes: ["The CA certificates of bundle:cern are trusted besides the system's"],
			redis: 'the package @keyv/redis is not installed',
		};
		expect(await start()).toEqual({
			...expected,
			viaFetch: expect.stringContaining('undici cannot be loaded'),
		});
		const undici = fileURLToPath(new URL('../node_modules/undici', import.meta.url));
		await cp(await realpath(undici), join(alone, 'node_modules/undici'), {recursive: true});
		expect(await start()).toEqual({...expected, viaFetch: 'Bearer abc'});
	});
});
