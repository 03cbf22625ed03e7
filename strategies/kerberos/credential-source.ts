/** Where a rule's tickets come from: its options, and for what they leave open, the variables of the rule. */
import type {Environment} from '../../src/strategy/index.ts';
import type {CredentialSource} from './gss-messages.ts';
import type {KerberosOptions} from './options.ts';

/** A type, and the rest of a name of the library, such as `KCM:0:robot`. Two letters at least: `C:` is a drive. */
const typed = /^([A-Za-z][\dA-Za-z_]+):(.*)$/s;
/** Types of credential caches that are files or folders; the others have names that are no paths. */
const cacheFiles = ['FILE', 'DIR', 'SCC'];
/** Types of key tables that are files. */
const keytabFiles = ['FILE', 'WRFILE'];

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
		keytab: table === undefined ? undefined : keytabName(table, resolve),
		password,
	};
}

/** `FILE:` is what a name without a type means. Paths are resolved; all else is the library's to understand. */
function qualified(name: string | undefined, resolve: (path: string) => string): string | undefined {
	if (name === undefined) return undefined;
	const [, given = 'FILE', rest = name] = typed.exec(name) ?? [];
	// The libraries know no types in small letters.
	const type = cacheFiles.includes(given.toUpperCase()) ? given.toUpperCase() : given;
	// One of a collection, as klist writes it: DIR::/run/user/1000/krb5cc/tkt.
	const isPath = cacheFiles.includes(type) && !rest.startsWith(':') && rest !== '';
	return `${type}:${isPath ? resolve(rest) : rest}`;
}

/** A path, or a name of a type that is no file. */
function keytabName(name: string, resolve: (path: string) => string): string {
	const [, type = 'FILE', rest = name] = typed.exec(name) ?? [];
	return keytabFiles.includes(type.toUpperCase()) ? resolve(rest) : name;
}
