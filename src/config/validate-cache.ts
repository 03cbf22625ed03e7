/** Checks where tokens are kept, and with which keys. */
import type {KeyObject} from 'node:crypto';
import {homeFolder, resolvePath} from '../strategy/paths.ts';
import type {Configuration} from './configuration.ts';
import type {ValidationContext} from './context.ts';
import {readEncryptionKey} from './encryption-key.ts';
import type {ConfigurationInput} from './schema.ts';
import type {Salvaged} from './settings.ts';
import {isSharedKind, missingPackageOf, readStoreUrl, storeKindOf} from './store-url.ts';

type CacheInput = Salvaged<NonNullable<ConfigurationInput['cache']>>;

const howToMakeKey =
	"Make one with 'openssl rand -base64 32', keep it as a secret, and name it, such as ${GATEPASS_CACHE_KEY}";

export function validateCache(input: CacheInput, context: ValidationContext): Configuration['cache'] {
	const url = validateUrl(input.url, context);
	const keys = validateKeys(input.encryptionKey, context);
	const kind = storeKindOf(url);
	const wantsKey = context.hasOwnStore || (kind !== undefined && isSharedKind(kind));
	const hasKey =
		input.encryptionKey !== undefined || context.problems.isUnresolved(['cache', 'encryptionKey']);
	if (wantsKey && !hasKey && input.encryption !== 'off') {
		context.problems.add(
			['cache'],
			'others can read this token store, and there is no key to encrypt tokens with',
			`${howToMakeKey} under 'encryptionKey'; or write 'encryption: off' if whoever reads the store may have the tokens`,
		);
	}
	if (input.encryptionKey !== undefined && input.encryption === 'off') {
		context.problems.add(
			['cache', 'encryption'],
			"it is off, and there is an 'encryptionKey'",
			'Take one of them out',
		);
	}
	return {url, keys};
}

function validateUrl(url: string | undefined, {folder, environment, problems}: ValidationContext): string {
	if (url === undefined) return `sqlite:${homeFolder(environment)}/.cache/gatepass/tokens.sqlite`;
	const read = readStoreUrl(url);
	if (read === undefined || url === 'sqlite:') {
		// Not repeated: a URL of a store may hold a password.
		const isKnown = storeKindOf(url) !== undefined && url !== 'sqlite:';
		problems.add(
			['cache', 'url'],
			isKnown ? 'it cannot be read as a URL' : 'it names no store that gatepass knows',
			isKnown
				? 'Write it as redis://USER:PASSWORD@HOST:PORT or postgres://USER:PASSWORD@HOST:PORT/DATABASE, and what is special in USER and PASSWORD percent-encoded: %2F for /, %23 for #, %3F for ?, %25 for %, %40 for @'
				: 'Write sqlite:FILE, memory:, redis://HOST, rediss://HOST or postgres://HOST/DATABASE',
		);
		return 'memory:';
	}
	const {kind} = read;
	const missing = missingPackageOf(kind);
	if (missing !== undefined) {
		problems.add(['cache', 'url'], `the package ${missing} is not installed`, `Run 'npm install ${missing}'`);
	}
	if (kind !== 'sqlite') return read.url;
	return `sqlite:${resolvePath(url.slice('sqlite:'.length).replace(/^\/\/(?=\/)/, ''), folder, environment)}`;
}

function validateKeys(written: CacheInput['encryptionKey'], {problems}: ValidationContext): KeyObject[] {
	const keys: KeyObject[] = [];
	for (const [index, text] of (written === undefined ? [] : [written].flat()).entries()) {
		// The variable of a previous key is there before there is one, and stays when it is over.
		if (index > 0 && text?.trim() === '') continue;
		const key = readEncryptionKey(text ?? '');
		if (key !== undefined) {
			keys.push(key);
			continue;
		}
		const path = ['cache', 'encryptionKey', ...(Array.isArray(written) ? [index] : [])];
		problems.add(path, 'it is not 32 bytes in base64', howToMakeKey);
	}
	return keys;
}
