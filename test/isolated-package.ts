/** A project with gatepass in it as pnpm lays it out: only gatepass itself is in sight, and no optional peer is there. */
import {cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const repository = fileURLToPath(new URL('..', import.meta.url));

export interface IsolatedProject {
	readonly folder: string;
	write(name: string, text: string): Promise<void>;
	/** Put a package of the repository in sight. */
	install(name: string): Promise<void>;
	close(): Promise<void>;
}

export async function isolateProject(): Promise<IsolatedProject> {
	const folder = await realpath(await mkdtemp(join(tmpdir(), 'gatepass-isolated-')));
	const store = join(folder, 'node_modules/.pnpm');
	const home = join(store, 'gatepass@0/node_modules');
	for (const part of ['dist', 'bundles', 'package.json']) {
		await cp(join(repository, part), join(home, 'gatepass', part), {recursive: true});
	}
	const manifest = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8'));
	for (const name of Object.keys(manifest.dependencies)) {
		// In a place of its own, as a link out of the project is no part of it for TypeScript. Its own dependencies
		// are found where it comes from.
		const own = join(store, `${name.replace('/', '+')}@0/node_modules`);
		await cp(join(repository, 'node_modules', name), join(own, name), {recursive: true});
		await link(join(own, name), join(home, name));
		const {dependencies = {}} = JSON.parse(await readFile(join(own, name, 'package.json'), 'utf8'));
		for (const inner of Object.keys(dependencies)) {
			await link(join(repository, 'node_modules', inner), join(own, inner)).catch(() => {});
		}
	}
	await link(join(home, 'gatepass'), join(folder, 'node_modules/gatepass'));
	const project: IsolatedProject = {
		folder,
		write: (name, text) => writeFile(join(folder, name), text),
		install: name => link(join(repository, 'node_modules', name), join(folder, 'node_modules', name)),
		close: () => rm(folder, {recursive: true, force: true}),
	};
	await project.write('package.json', JSON.stringify({type: 'module'}));
	return project;
}

async function link(target: string, place: string): Promise<void> {
	await mkdir(dirname(place), {recursive: true});
	await symlink(target, place);
}
