/** Remembers in which folders identities are looked after, so that they can be listed. */
import {createHash} from 'node:crypto';
import {mkdir, readdir, realpath} from 'node:fs/promises';
import {join} from 'node:path';
import {linkTarget, replaceLink} from '../files/durable.ts';
import {homeFolder} from '../strategy/paths.ts';
import type {Environment} from '../strategy/services.ts';

/** Note a folder. It is a convenience only, so a home that cannot be written to is no failure. */
export async function rememberFolder(path: string, environment: Environment = process.env): Promise<void> {
	const places = placesFolder(environment);
	// One link for each folder: two commands at a time do not get into each other's way.
	const name = createHash('sha256').update(path).digest('hex').slice(0, 16);
	try {
		await mkdir(places, {recursive: true, mode: 0o700});
		if ((await linkTarget(join(places, name))) !== path) await replaceLink(join(places, name), path);
	} catch {}
}

/** The folders where identities may be: the usual ones, and those that were noted and are still there. */
export async function knownFolders(environment: Environment = process.env): Promise<string[]> {
	const home = homeFolder(environment);
	const {CERN_CERTIFICATE_PATH: named} = environment;
	const usual = [...(named ? [named] : []), join(home, 'private'), join(home, '.globus')];
	const folders = [...usual, ...(await rememberedFolders(environment))];
	const real = await Promise.all(folders.map(folder => realpath(folder).catch(() => undefined)));
	// The same folder by two names counts once.
	return folders.filter((_, index) => real[index] !== undefined && real.indexOf(real[index]) === index);
}

async function rememberedFolders(environment: Environment): Promise<string[]> {
	const places = placesFolder(environment);
	const names = await readdir(places).catch(() => []);
	const targets = await Promise.all(names.map(name => linkTarget(join(places, name))));
	return targets.filter(target => target !== undefined).sort();
}

/** Where programs keep what is to outlive them but is no setting: the XDG Base Directory Specification. */
function placesFolder(environment: Environment): string {
	const {XDG_STATE_HOME: state} = environment;
	return join(
		state?.startsWith('/') ? state : join(homeFolder(environment), '.local', 'state'),
		'gatepass',
		'identities',
	);
}
