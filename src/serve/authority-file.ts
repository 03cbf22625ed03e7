/** The CA of `serve`, kept in a file of its owner's, so that clients need not learn of a new one at each start. */
import {X509Certificate} from 'node:crypto';
import {lstat, mkdir, readFile} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import process from 'node:process';
import {GatepassError} from '../errors.ts';
import {replaceFile} from '../files/durable.ts';
import {homeFolder} from '../strategy/paths.ts';
import type {Environment} from '../strategy/services.ts';
import {type AuthorityMaterial, makeAuthority} from './authority.ts';
import type {Constraints} from './certificates.ts';

const leastLeft = 30 * 86_400_000;

/** What a CA file holds besides its key and certificates. */
interface Kept extends AuthorityMaterial {
	readonly constraints: Constraints | null;
}

/** Where the CA is kept: a folder for its owner alone. */
export function authorityFolder(environment: Environment): string {
	const states = environment.STATE_DIRECTORY || environment.XDG_STATE_HOME;
	return join(states || join(homeFolder(environment), '.local/state'), 'gatepass');
}

/**
 * The CA in a folder, made again where there is none for these hosts, or it is about to end.
 *
 * @throws {GatepassError} where others could have put it there.
 */
export async function keptAuthority(
	folder: string,
	constraints: Constraints | undefined,
): Promise<{material: AuthorityMaterial; isNew: boolean}> {
	const file = join(folder, 'proxy-ca.json');
	const wanted = constraints ?? null;
	const kept = await read(file);
	if (kept !== undefined && JSON.stringify(kept.constraints) === JSON.stringify(wanted) && lasts(kept)) {
		return {material: kept, isNew: false};
	}
	const material = makeAuthority(constraints);
	await mkdir(dirname(file), {recursive: true, mode: 0o700});
	const content: Kept = {constraints: wanted, ...material};
	await replaceFile(file, `${JSON.stringify(content, null, '\t')}\n`, 0o600);
	return {material, isNew: true};
}

function lasts({root}: AuthorityMaterial): boolean {
	return new X509Certificate(root).validToDate.getTime() - Date.now() > leastLeft;
}

async function read(file: string): Promise<Kept | undefined> {
	let stats: Awaited<ReturnType<typeof lstat>>;
	try {
		stats = await lstat(file);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
		throw error;
	}
	const isOthers = process.getuid !== undefined && stats.uid !== process.getuid();
	if (!stats.isFile() || isOthers || (stats.mode & 0o077) !== 0) {
		throw new GatepassError({
			code: 'proxy-authority-unsafe',
			what: `${file} holds the key of the proxy's CA, and others may read it or have put it there`,
			hint: 'Delete it; the next start makes another one',
		});
	}
	try {
		const kept = JSON.parse(await readFile(file, 'utf8')) as Kept;
		// What cannot be read is made again.
		new X509Certificate(kept.issuer);
		return kept;
	} catch {
		return undefined;
	}
}
