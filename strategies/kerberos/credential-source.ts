/** Where a rule's tickets come from: its options, and for what they leave open, the variables of the rule. */
import type {Environment} from '../../src/strategy/index.ts';
import type {CredentialSource} from './gss-messages.ts';
import type {KerberosOptions} from './options.ts';

/** Types of credential caches that are files or folders; the others have names that are no paths. */
const fileTypes = ['FILE', 'DIR'];

export function credentialSource(
	{principal, credentialCache, keytab, password}: KerberosOptions,
	environment: Environment,
	resolve: (path: string) => string,
): CredentialSource {
	// The library reads the process's own variables itself, and then knows more, such as collections of caches.
	const variable = (name: string): string | undefined =>
		environment[name] === process.env[name] ? undefined : environment[name];
	const table = keytab ?? (password === undefined ? variable('KRB5_CLIENT_KTNAME') : undefined);
	return {
		principal,
		credentialCache: qualified(credentialCache ?? variable('KRB5CCNAME'), resolve),
		keytab: table === undefined ? undefined : resolve(table.replace(/^FILE:/, '')),
		password,
	};
}

/** `FILE:` is what a name without a type means. */
function qualified(name: string | undefined, resolve: (path: string) => string): string | undefined {
	if (name === undefined) return undefined;
	const [, type = 'FILE', rest = ''] = /^(?:([A-Z]+):)?(.*)$/s.exec(name) ?? [];
	return `${type}:${fileTypes.includes(type) ? resolve(rest) : rest}`;
}
