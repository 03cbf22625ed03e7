/**
 * Whether a certificate can be used as a client's, with this OpenSSL and at its servers: the one judgement that reading
 * an identity, `status`, `doctor`, `cert inspect`, `cert import` and the explanation of a refusal all give.
 */
import type {X509Certificate} from 'node:crypto';
import {type Diagnostic, diagnostic, type Finding, warning} from '../diagnostics/diagnostic.ts';
import {type PurposeFault, purposeFaults} from '../x509/client-purpose.ts';
import {rfc2253Subject} from '../x509/names.ts';
import {opensslName, refusedByOpenssl, refusedByOthers, type Weakness} from '../x509/strength.ts';

export interface ClientUse {
	/** Why it cannot be shown at all. */
	readonly refused?: Diagnostic;
	/** Why servers may refuse it. Not all of them look. */
	readonly doubts: readonly Diagnostic[];
}

/** @param chain leaf first. @param file where it is, for the sentences. */
export function judgeClientUse(chain: readonly X509Certificate[], file: string): ClientUse {
	const weakness = refusedByOpenssl(chain);
	const doubts = purposeFaults(chain).map(fault => warning(describeFault(fault, file)));
	if (weakness !== undefined) {
		return {
			refused: diagnostic(
				describeWeakness(weakness, chain, file, `which ${opensslName} of this Node refuses`),
			),
			doubts,
		};
	}
	const doubtful = refusedByOthers(chain);
	if (doubtful !== undefined) {
		const who = 'which OpenSSL of other servers refuses';
		doubts.push(warning(describeWeakness(doubtful, chain, file, who)));
	}
	return {doubts};
}

function describeWeakness(
	{certificate, what, code}: Weakness,
	chain: readonly X509Certificate[],
	file: string,
	who: string,
): Finding {
	const name = nameOf(certificate, certificate !== chain[0], file);
	if (what === undefined) {
		return {
			code: 'certificate-refused-by-openssl',
			what: `${opensslName} of this Node does not take ${name} (${code})`,
			hint: 'Have one issued with another kind of key',
		};
	}
	if ('key' in what) {
		return {
			code: 'certificate-too-weak',
			what: `${capital(name)} has ${what.key}, ${who}`,
			hint: 'Have one issued for a key of RSA with 2048 bits or more, or of ECDSA with P-256',
		};
	}
	return {
		code: 'certificate-too-weak',
		what: `${capital(name)} is signed with ${what.hash}, ${who}`,
		hint: 'Have it issued again, signed with SHA-256',
	};
}

const askAuthority =
	'ask the authority that the server trusts for its clients; public authorities issue no such ones any more';

function describeFault({certificate, isAuthority, kind, uses}: PurposeFault, file: string): Finding {
	const name = capital(nameOf(certificate, isAuthority, file));
	const named = uses.length === 0 ? 'nothing' : uses.join(', ');
	// Others count any use as this one.
	const servers = uses.includes('anyExtendedKeyUsage') ? 'servers with OpenSSL' : 'servers';
	switch (kind) {
		case 'extended key usage':
			return isAuthority
				? {
						code: 'intermediate-not-for-clients',
						what: `${name} vouches for no clients: its extended key usage has ${named}, but not clientAuth, so ${servers} that have no other one refuse what it issued`,
						hint: `To get one that is for clients, ${askAuthority}`,
					}
				: {
						code: 'client-certificate-not-for-clients',
						what: `${name} is not meant for clients: its extended key usage has ${named}, but not clientAuth, so ${servers} refuse it`,
						hint: `To get one with clientAuth, ${askAuthority}`,
					};
		case 'key usage':
			return isAuthority
				? {
						code: 'certificate-chain-unsound',
						what: `${name} may not sign certificates: its key usage has ${named}, but not keyCertSign, so servers that have no other one refuse what it issued`,
						hint: 'Ask that CA for the right one',
					}
				: {
						code: 'client-certificate-not-for-clients',
						what: `${name} is not meant for clients: its key usage has ${named}, but not digitalSignature, so servers refuse it`,
						hint: 'Have one issued with digitalSignature',
					};
		case 'netscape type':
			return {
				code: 'client-certificate-not-for-clients',
				what: `${name} is not meant for clients: its Netscape type is another, so servers refuse it`,
				hint: 'Have one issued without that',
			};
		case 'no authority':
			return {
				code: 'certificate-chain-unsound',
				what: `${name} is not that of a CA, so servers refuse what it issued`,
				hint: 'Have one issued by a CA',
			};
		case 'path length':
			return {
				code: 'certificate-chain-unsound',
				what: `${name} allows fewer CAs below it than there are (path length), so servers that have no other one refuse what they issued`,
				hint: 'Have one issued by a CA that it allows',
			};
	}
}

function nameOf(certificate: X509Certificate, isAnother: boolean, file: string): string {
	return isAnother
		? `the certificate of ${rfc2253Subject(certificate)} in the chain of ${file}`
		: `the certificate ${file}`;
}

function capital(text: string): string {
	return text.slice(0, 1).toUpperCase() + text.slice(1);
}
