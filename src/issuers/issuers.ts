/** Which certificate authority is meant. */
import {isAbsolute} from 'node:path';
import {pathToFileURL} from 'node:url';
import {GatepassError} from '../errors.ts';
import type {AuthorityName} from '../lineages/version.ts';
import {CommandAuthority} from './command.ts';
import type {Issuer} from './issuer.ts';
import {ByHandAuthority} from './manual.ts';

const methods = ['request', 'poll', 'collect', 'revoke'] as const;

/** The authority of a request or of a version. */
export async function authorityOf(name: AuthorityName): Promise<Issuer> {
	if (name.kind === 'by-hand') return new ByHandAuthority();
	if (name.kind === 'command') return new CommandAuthority(name.command);
	return loadAuthority(name.file);
}

/** The default export of a module, which has to be a {@link Issuer}. */
async function loadAuthority(file: string): Promise<Issuer> {
	let module: {readonly default?: unknown};
	try {
		module = await import(isAbsolute(file) ? pathToFileURL(file).href : file);
	} catch (error) {
		throw new GatepassError(
			`The module ${file} cannot be loaded: ${(error as Error).message.split('\n')[0]}. Mend it, or name another one with --authority`,
			{cause: error},
		);
	}
	const authority = module.default as Partial<Issuer> | undefined;
	const missing = methods.filter(method => typeof authority?.[method] !== 'function');
	if (missing.length > 0) {
		throw new GatepassError(
			`The default export of ${file} is no certificate authority: it lacks ${missing.join(', ')}. It has to be an object with the methods ${methods.join(', ')}`,
		);
	}
	return authority as Issuer;
}
