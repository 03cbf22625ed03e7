/** May others read what is secret? Looks at the rights of keys, of the token cache and of `.env`. */
import {existsSync, type Stats, statSync} from 'node:fs';
import {dirname} from 'node:path';
import process from 'node:process';
import type {Configuration} from '../config/configuration.ts';
import {storeKindOf} from '../config/store-url.ts';
import {diagnostic, warning} from '../diagnostics/diagnostic.ts';
import {type Finding, ok, told} from './finding.ts';

/** What nobody but the owner may do. */
const others = 0o077;
const writeByOthers = 0o022;

/** A private key: at most 0600, or mounted by root for a group of this user. */
export async function checkKeyFile(file: string): Promise<Finding[]> {
	const rights = rightsOf(file);
	if (rights === undefined) return [];
	if ((rights & others) === 0)
		return [ok('key file', `${inOctal(rights)}: only its owner may read it`, file)];
	if (await isAccepted(file)) {
		return [ok('key file', `${inOctal(rights)}: root has it for a group to read, and nobody else`, file)];
	}
	const what = `Others may read or change it (${inOctal(rights)})`;
	const hint = `Run 'chmod 600 ${file}'`;
	return [told('key file', diagnostic({code: 'key-readable-by-others', what, hint, where: file}))];
}

async function isAccepted(file: string): Promise<boolean> {
	const {checkKeyFile: checkRights} = await import('../identities/checks.ts');
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
	const what = `Others may read or change it (${inOctal(rights)})`;
	const hint = `Run 'chmod 600 ${file}' if it holds secrets`;
	return [told('variables', warning({code: 'variables-readable-by-others', what, hint, where: file}))];
}

/** The token cache: 0600, in a folder that is 0700. To be looked at before it is opened, which sets its rights right. */
export function checkCacheFiles({url, keys}: Configuration['cache']): Finding[] {
	const kind = storeKindOf(url);
	if (kind === 'memory') {
		return [ok('token cache', 'tokens are kept in memory only, so each run fetches its own')];
	}
	if (kind !== 'sqlite') {
		if (keys.length > 0) return [ok('token cache', `tokens are kept in ${kind}, encrypted`)];
		const what = `Tokens are kept in ${kind}, where whoever reads it may have them`;
		const hint = 'Give cache.encryptionKey';
		return [told('token cache', warning({code: 'token-store-not-encrypted', what, hint}))];
	}
	const file = url.slice('sqlite:'.length);
	if (!existsSync(file)) {
		return [ok('token cache', 'there is none yet; it is made with the first token', file)];
	}
	const findings = [...checkStoreFiles(file), ...checkStoreFolder(dirname(file))];
	if (existsSync(`${file}.damaged`)) {
		const what = 'A damaged token cache was put aside; its tokens are fetched again';
		const found = {
			code: 'token-store-damaged',
			hint: `Remove ${file}.damaged`,
			where: `${file}.damaged`,
		} as const;
		findings.push(told('token cache', warning({...found, what})));
	}
	return findings.length > 0 ? findings : [ok('token cache', 'only its owner may read it', file)];
}

function checkStoreFiles(file: string): Finding[] {
	return [file, `${file}-wal`, `${file}-shm`].flatMap(where => {
		const rights = rightsOf(where);
		if (rights === undefined || (rights & others) === 0) return [];
		const what = `Others may read the tokens in it (${inOctal(rights)})`;
		const hint = `Run 'chmod 600 ${where}', and 'gatepass forget' if somebody may have read it`;
		return [told('token cache', diagnostic({code: 'token-store-readable-by-others', what, hint, where}))];
	});
}

function checkStoreFolder(folder: string): Finding[] {
	const rights = rightsOf(folder) ?? 0;
	if ((rights & others) === 0) return [];
	const hint = `Run 'chmod 700 ${folder}', or name a folder of its own in cache.url`;
	if ((rights & writeByOthers) !== 0) {
		const what = `Others may put another file in the place of the token cache (${inOctal(rights)})`;
		return [told('token cache', diagnostic({code: 'token-store-replaceable', what, hint, where: folder}))];
	}
	const what = `Others may look into the folder of the token cache (${inOctal(rights)})`;
	return [told('token cache', warning({code: 'token-store-readable-by-others', what, hint, where: folder}))];
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
