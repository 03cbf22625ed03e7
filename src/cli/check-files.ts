/** May others read what is secret? Looks at the rights of keys, of the token cache and of `.env`. */
import {existsSync, type Stats, statSync} from 'node:fs';
import {dirname} from 'node:path';
import process from 'node:process';
import type {Configuration} from '../config/configuration.ts';
import {storeKindOf} from '../config/store-url.ts';
import {checkKeyFile as checkRights} from '../identities/checks.ts';
import {type Finding, failed, ok, warning} from './finding.ts';

/** What nobody but the owner may do. */
const others = 0o077;
const writeByOthers = 0o022;

/** A private key: at most 0600, or mounted by root for a group of this user. */
export function checkKeyFile(file: string): Finding[] {
	const rights = rightsOf(file);
	if (rights === undefined) return [];
	if ((rights & others) === 0)
		return [ok('key file', `${inOctal(rights)}: only its owner may read it`, file)];
	if (isAccepted(file)) {
		return [ok('key file', `${inOctal(rights)}: root has it for a group to read, and nobody else`, file)];
	}
	return [
		failed('key file', `${inOctal(rights)}: others may read or change it`, `Run 'chmod 600 ${file}'`, file),
	];
}

function isAccepted(file: string): boolean {
	try {
		checkRights(file, statSync(file));
		return true;
	} catch {
		return false;
	}
}

/** `.env`: holds secrets in plain text, where it is used. */
export function checkEnvironmentFile(file: string): Finding[] {
	const rights = rightsOf(file);
	if (rights === undefined || (rights & others) === 0) return [];
	return [
		warning(
			'variables',
			`${inOctal(rights)}: others may read or change it`,
			`Run 'chmod 600 ${file}' if it holds secrets`,
			file,
		),
	];
}

/** The token cache: 0600, in a folder that is 0700. To be looked at before it is opened, which sets its rights right. */
export function checkCacheFiles({url, keys}: Configuration['cache']): Finding[] {
	const kind = storeKindOf(url);
	if (kind === 'memory') {
		return [ok('token cache', 'tokens are kept in memory only, so each run fetches its own')];
	}
	if (kind !== 'sqlite') {
		if (keys.length > 0) return [ok('token cache', `tokens are kept in ${kind}, encrypted`)];
		const what = `tokens are kept in ${kind}, where whoever reads it may have them`;
		return [warning('token cache', what, 'Give cache.encryptionKey')];
	}
	const file = url.slice('sqlite:'.length);
	if (!existsSync(file))
		return [ok('token cache', 'there is none yet; it is made with the first token', file)];
	const folder = dirname(file);
	const findings: Finding[] = [];
	for (const part of [file, `${file}-wal`, `${file}-shm`]) {
		const rights = rightsOf(part);
		if (rights === undefined || (rights & others) === 0) continue;
		const what = `${inOctal(rights)}: others may read the tokens in it`;
		const hint = `Run 'chmod 600 ${part}', and 'gatepass forget' if somebody may have read it`;
		findings.push(failed('token cache', what, hint, part));
	}
	const rights = rightsOf(folder) ?? 0;
	if ((rights & writeByOthers) !== 0) {
		const what = `${inOctal(rights)}: others may put another file in the place of the token cache`;
		findings.push(
			failed(
				'token cache',
				what,
				`Run 'chmod 700 ${folder}', or name a folder of its own in cache.url`,
				folder,
			),
		);
	} else if ((rights & others) !== 0) {
		const what = `${inOctal(rights)}: others may look into the folder of the token cache`;
		findings.push(
			warning(
				'token cache',
				what,
				`Run 'chmod 700 ${folder}', or name a folder of its own in cache.url`,
				folder,
			),
		);
	}
	if (existsSync(`${file}.damaged`)) {
		const what = 'a damaged token cache was put aside; its tokens are fetched again';
		findings.push(warning('token cache', what, `Remove ${file}.damaged`, `${file}.damaged`));
	}
	return findings.length > 0 ? findings : [ok('token cache', 'only its owner may read it', file)];
}

/** The rights; `undefined` where there is no file, or no such rights (Windows). */
function rightsOf(file: string): number | undefined {
	if (process.platform === 'win32') return undefined;
	const information: Stats | undefined = statSync(file, {throwIfNoEntry: false});
	return information === undefined ? undefined : information.mode & 0o777;
}

function inOctal(rights: number): string {
	return `mode ${rights.toString(8).padStart(4, '0')}`;
}
