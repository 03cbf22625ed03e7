/** Which issuer is meant, and how to reach it. */
import {isAbsolute} from 'node:path';
import {pathToFileURL} from 'node:url';
import {GatepassError} from '../errors.ts';
import {CommandIssuer} from './command.ts';
import type {Issuer} from './issuer.ts';
import {ManualIssuer} from './manual.ts';

const methods = ['request', 'poll', 'collect', 'revoke'] as const;

/** Which issuer serves a request. */
export type IssuerName =
	| {readonly kind: 'by-hand'}
	| {readonly kind: 'command'; readonly command: readonly string[]}
	| {readonly kind: 'module'; readonly file: string};

/** The authority of a request or of a version. */
export async function issuerOf(name: IssuerName): Promise<Issuer> {
	if (name.kind === 'by-hand') return new ManualIssuer();
	if (name.kind === 'command') return new CommandIssuer(name.command);
	return loadAuthority(name.file);
}

/** The default export of a module, which has to be a {@link Issuer}. */
async function loadAuthority(file: string): Promise<Issuer> {
	let module: {readonly default?: unknown};
	try {
		module = await import(isAbsolute(file) ? pathToFileURL(file).href : file);
	} catch (error) {
		throw new GatepassError(
			{
				code: 'authority-unusable',
				what: `The module ${file} cannot be loaded: ${(error as Error).message.split('\n')[0]}`,
				hint: 'Correct it, or name another one with --authority',
			},
			{cause: error},
		);
	}
	const authority = module.default as Partial<Issuer> | undefined;
	const missing = methods.filter(method => typeof authority?.[method] !== 'function');
	if (missing.length > 0) {
		throw new GatepassError({
			code: 'authority-unusable',
			what: `The default export of ${file} is no certificate authority: it lacks ${missing.join(', ')}`,
			hint: `It has to be an object with the methods ${methods.join(', ')}`,
		});
	}
	return authority as Issuer;
}
