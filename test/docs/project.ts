/**
 * A user's project: a folder with the examples of the documentation, in which gatepass is installed as built.
 * Where an example is run, the hosts in it are replaced by those of servers on this machine.
 */
import {execFile, spawn} from 'node:child_process';
import {mkdtempSync} from 'node:fs';
import {cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {promisify} from 'node:util';
import {root} from './markdown.ts';

const run = promisify(execFile);

/** What the examples import besides Node's own. */
const installed = [
	...['@types/node', 'undici-types', 'got', 'tsyringe', 'zod'],
	...['@opentelemetry/api', 'keyv', 'pino'],
	...['undici', 'axios', 'ws', '@types/ws'],
];

export interface Finished {
	readonly status: number;
	readonly output: string;
	readonly errors: string;
}

export class Project {
	readonly folder: string;
	readonly #environment: Readonly<Record<string, string>>;

	private constructor(folder: string, environment: Readonly<Record<string, string>>) {
		this.folder = folder;
		this.#environment = environment;
	}

	/** Copy the examples and compile them. Fails with the compiler's words where one does not type-check. */
	static async create(
		hosts: Readonly<Record<string, string>>,
		environment: Readonly<Record<string, string>>,
	): Promise<Project> {
		const folder = await mkdtemp(join(tmpdir(), 'gatepass-docs-'));
		await cp(join(root, 'docs/examples'), folder, {recursive: true});
		for (const file of await readdir(folder, {recursive: true, withFileTypes: true})) {
			if (file.isFile()) await replaceHosts(join(file.parentPath, file.name), hosts);
		}
		for (const name of installed) await link(join(root, 'node_modules', name), folder, name);
		await link(root, folder, 'gatepass');
		await writeFile(join(folder, 'package.json'), JSON.stringify({name: 'examples', type: 'module'}));
		await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(await compilerSettings()));
		const project = new Project(folder, environment);
		const compiler = join(root, 'node_modules/typescript/bin/tsc');
		await run(process.execPath, [compiler, '-p', folder]).catch(async ({stdout, stderr}) => {
			await project.remove();
			throw new Error(`The examples do not compile:\n${stdout}${stderr}`);
		});
		return project;
	}

	async write(file: string, content: string): Promise<void> {
		// One of them is a key.
		await writeFile(join(this.folder, file), content, {mode: 0o600});
	}

	/** Run an example to its end, with a home folder of its own: no token is left over from another run. */
	async run(example: string, environment: Readonly<Record<string, string>> = {}): Promise<Finished> {
		const child = this.start(example, environment);
		const [output, errors, status] = await Promise.all([
			text(child.stdout),
			text(child.stderr),
			new Promise<number>(resolve => child.once('exit', code => resolve(code ?? -1))),
		]);
		return {status, output, errors};
	}

	start(example: string, environment: Readonly<Record<string, string>> = {}) {
		const home = mkdtempSync(join(this.folder, 'home-'));
		return spawn(process.execPath, [example.replace(/\.ts$/, '.js')], {
			cwd: this.folder,
			env: {PATH: process.env.PATH, HOME: home, ...this.#environment, ...environment},
			stdio: ['ignore', 'pipe', 'pipe'],
		});
	}

	async remove(): Promise<void> {
		await rm(this.folder, {recursive: true, force: true});
	}
}

async function replaceHosts(file: string, hosts: Readonly<Record<string, string>>): Promise<void> {
	const original = await readFile(file, 'utf8');
	let replaced = original;
	for (const [host, url] of Object.entries(hosts)) replaced = replaced.replaceAll(`https://${host}`, url);
	if (replaced !== original) await writeFile(file, replaced);
}

async function link(target: string, folder: string, name: string): Promise<void> {
	const place = join(folder, 'node_modules', name);
	await mkdir(dirname(place), {recursive: true});
	await symlink(target, place, 'dir');
}

/** The project's own settings, so that what type-checks here does so for a strict user. */
async function compilerSettings(): Promise<unknown> {
	const {compilerOptions} = JSON.parse(await readFile(join(root, 'tsconfig.json'), 'utf8'));
	return {
		compilerOptions: {
			...compilerOptions,
			rootDir: '.',
			outDir: '.',
			noEmit: false,
			declaration: false,
			skipLibCheck: false,
		},
		include: ['.'],
		// Without this, what lies in `outDir` would be left out.
		exclude: ['node_modules'],
	};
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
	const chunks: Buffer[] = [];
	for await (const chunk of stream) chunks.push(chunk);
	return Buffer.concat(chunks).toString();
}
