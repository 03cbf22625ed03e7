/**
 * What is wrong with the certificate of a server that OpenSSL does not trust: which certificate of its chain it is about,
 * and what to do. OpenSSL decides; it only does not say of which certificate it speaks.
 */
import type {X509Certificate} from 'node:crypto';
import {purposeFaults} from '../x509/client-purpose.ts';
import {extensionsOf, findExtension} from '../x509/extensions.ts';
import {rfc2253Subject} from '../x509/names.ts';
import {weakHashOf, weakKeyOf} from '../x509/strength.ts';

/** What is known of the server. */
export interface ServerChain {
	/** As in a URL. */
	readonly host: string;
	/** Its certificate, then each one's issuer, as far as it is known; empty where nothing is. */
	readonly path: readonly X509Certificate[];
	/** Whether a certificate is from the trust store rather than from the server. */
	isTrusted(certificate: X509Certificate): boolean;
	/** The CA in the trust store whose settings keep it from vouching for servers. */
	readonly rejected?: X509Certificate | undefined;
}

/** Both without full stop; `what` is the rest of a sentence that begins with the host and `cannot be trusted:`. */
export interface ServerFault {
	readonly what: string;
	readonly hint: string;
}

/** Where nothing is wrong but that nobody vouches. */
const addItsCa = "If the server is right, add its CA under 'trust' in the configuration";
const askForAnother = 'Ask whoever runs the server for another certificate';
const askToSendAnother = "Ask whoever runs the server to have it send that CA's present certificate";
const trustAnother = "Replace it by that CA's present certificate in the files under 'trust'";

type Explain = (chain: ServerChain) => ServerFault;

/** No trusted CA is known to have issued it. */
const unknownCa: Explain = ({path: [leaf]}) => ({
	what: `no trusted CA vouches for its certificate${leaf === undefined ? '' : ` (${nameOf(leaf)}, issued by ${issuerOf(leaf)})`}`,
	hint: addItsCa,
});

const nameConstraints: Explain = chain => {
	const authority = chain.path.slice(1).find(one => findExtension(one, '2.5.29.30') !== undefined);
	const who = authority === undefined ? 'a CA above it' : `the CA ${nameOf(authority)} above it`;
	return {
		what: `${who} may not vouch for the names in its certificate${about(chain)} (name constraints)`,
		hint: `${askForAnother}, of a CA that may vouch for its name`,
	};
};

/** By Node's code, or where Node has none, by OpenSSL's words (`X509_verify_cert_error_string`). */
const explanations: Readonly<Record<string, Explain>> = {
	UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownCa,
	UNABLE_TO_GET_ISSUER_CERT: unknownCa,
	UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownCa,
	SELF_SIGNED_CERT_IN_CHAIN: unknownCa,
	DEPTH_ZERO_SELF_SIGNED_CERT: chain => ({
		what: `its certificate${about(chain)} is self-signed`,
		hint: "If the server is right, add that certificate under 'trust' in the configuration",
	}),
	CERT_UNTRUSTED: rejected,
	CERT_REJECTED: rejected,
	CERT_SIGNATURE_FAILURE: chain => ({
		what: `the signature of its certificate${about(chain)}, or of one in its chain, is wrong`,
		hint: `${askForAnother}; somebody may be in between`,
	}),
	CERT_CHAIN_TOO_LONG: () => ({what: 'the chain of its certificate is too long', hint: askForAnother}),
	CERT_REVOKED: chain => ({
		what: `its certificate${about(chain)}, or one in its chain, is revoked`,
		hint: 'Do not trust it, and ask whoever runs the server for its successor',
	}),
	CERT_HAS_EXPIRED: chain => {
		const now = Date.now();
		const expired = chain.path.find(({validToDate}) => validToDate.getTime() < now);
		if (expired === undefined) {
			return {
				what: 'its certificate, or one in its chain, has expired',
				hint: 'Ask whoever runs the server to renew it',
			};
		}
		return {
			what: `${which(chain, expired)} expired on ${day(expired.validToDate)}`,
			hint:
				expired === chain.path[0]
					? 'Ask whoever runs the server to renew it'
					: chain.isTrusted(expired)
						? trustAnother
						: askToSendAnother,
		};
	},
	CERT_NOT_YET_VALID: chain => {
		const now = Date.now();
		const early = chain.path.find(({validFromDate}) => validFromDate.getTime() > now);
		const what =
			early === undefined
				? 'its certificate, or one in its chain, is not valid yet'
				: `${which(chain, early)} is not valid before ${day(early.validFromDate)}`;
		return {
			what,
			hint: "Check this machine's clock, or ask whoever runs the server for a certificate that is valid",
		};
	},
	INVALID_PURPOSE: chain => purpose(chain, 'is not for servers'),
	INVALID_CA: chain => purpose(chain, 'is not that of a CA'),
	'invalid CA certificate': chain => purpose(chain, 'is not that of a CA'),
	PATH_LENGTH_EXCEEDED: pathLength,
	'path length constraint exceeded': pathLength,
	'key usage does not include certificate signing': chain =>
		purpose(chain, 'is not for signing certificates'),
	'permitted subtree violation': nameConstraints,
	'excluded subtree violation': nameConstraints,
	'name constraints minimum and maximum not supported': nameConstraints,
	'unsupported name constraint type': nameConstraints,
	'unsupported or invalid name constraint syntax': nameConstraints,
	'unsupported or invalid name syntax': nameConstraints,
	'EE certificate key too weak': weakKey,
	'CA certificate key too weak': weakKey,
	'CA signature digest algorithm too weak': chain => {
		const weak = chain.path.find(one => weakHashOf(one) !== undefined);
		return {
			what:
				weak === undefined
					? 'a certificate in its chain is signed with a hash that is too weak'
					: `${which(chain, weak)} is signed with ${weakHashOf(weak)}, which is too weak`,
			hint: `${askForAnother}, signed with SHA-256 or better`,
		};
	},
	'unhandled critical extension': chain => {
		const [certificate, extension] = firstUnknownExtension(chain.path) ?? [];
		const what =
			certificate === undefined
				? 'its certificate, or one in its chain, has a critical extension that OpenSSL does not know'
				: `${which(chain, certificate)} has a critical extension that OpenSSL does not know (${extension})`;
		return {what, hint: `${askForAnother}, without that extension`};
	},
	ERR_TLS_CERT_ALTNAME_INVALID: ({host, path: [leaf]}) => {
		const names = leaf?.subjectAltName ?? '';
		const told = leaf === undefined ? '' : ` (${names === '' ? nameOf(leaf) : cut(names)})`;
		return {
			what: `its certificate is for another name${told}`,
			hint: `Use a name that it is for, or ask whoever runs the server for a certificate for ${host}`,
		};
	},
};

/** Codes that Node has for what OpenSSL finds, besides those above; what is to be done is for whoever runs the server. */
const otherCodes = /^(?:UNSPECIFIED|HOSTNAME_MISMATCH|UNABLE_TO_(?:GET_CRL|DE)|CRL_|ERROR_IN_C)/;

/** Whether all that OpenSSL minds is that nobody vouches for the server. */
export function isAboutUnknownCa({code = ''}: {readonly code?: string | undefined}): boolean {
	return explanations[code] === unknownCa;
}

/** What OpenSSL's verdict means; `undefined` for an error of another kind. */
export function explainServerFault(
	{code = '', message}: {readonly code?: string | undefined; readonly message: string},
	chain: ServerChain,
): ServerFault | undefined {
	const known = explanations[code];
	if (known === undefined && !otherCodes.test(code)) return undefined;
	// Of several faults OpenSSL tells the last that it finds, and this one it finds first.
	if (chain.rejected !== undefined) return rejected(chain);
	if (known !== undefined) return known(chain);
	const words = Object.keys(explanations).find(text => message.endsWith(text));
	if (words !== undefined) return (explanations[words] as Explain)(chain);
	return {
		// Whoever passes the error on may have put the URL in front.
		what: `OpenSSL does not accept its certificate${about(chain)}, or one in its chain: ${cut(message.replace(/^\S+:\/\/\S+: /, ''))}`,
		hint: askForAnother,
	};
}

function rejected(chain: ServerChain): ServerFault {
	const who = chain.rejected === undefined ? 'a CA' : `the CA ${nameOf(chain.rejected)}`;
	return {
		what: `${who} above its certificate${about(chain)} is not to vouch for servers, by its trust settings`,
		hint: "Trust another CA, or change the settings in the files under 'trust', if the CA is to be believed",
	};
}

function pathLength(chain: ServerChain): ServerFault {
	const fault = purposeFaults(chain.path, 'server').find(({kind}) => kind === 'path length');
	const who = fault === undefined ? 'a CA' : `the CA ${nameOf(fault.certificate)}`;
	return {
		what: `${who} in the chain of its certificate${about(chain)} allows fewer CAs below it than there are`,
		hint: askForAnother,
	};
}

/** What is said of a certificate by what it is limited to. */
function purpose(chain: ServerChain, otherwise: string): ServerFault {
	const fault = purposeFaults(chain.path, 'server').find(({kind}) => kind !== 'path length');
	if (fault === undefined)
		return {what: `its certificate, or one in its chain, ${otherwise}`, hint: askForAnother};
	const {certificate, isAuthority, kind, uses} = fault;
	const only = uses.length === 0 ? '' : ` (${kind}: ${uses.join(', ')})`;
	const isAboutUse = kind === 'extended key usage';
	const what =
		kind === 'no authority'
			? 'is not that of a CA'
			: isAuthority && kind === 'key usage'
				? 'is not for signing certificates'
				: 'is not for servers';
	return {
		what: `${which(chain, certificate)} ${what}${only}`,
		hint: isAboutUse ? `${askForAnother}, with serverAuth among its uses` : askForAnother,
	};
}

function weakKey(chain: ServerChain): ServerFault {
	const weak = chain.path.find(one => weakKeyOf(one) !== undefined);
	return {
		what:
			weak === undefined
				? 'the key of its certificate, or of one in its chain, is too weak'
				: `${which(chain, weak)} has ${weakKeyOf(weak)}, which is too weak`,
		hint: `${askForAnother}, with a key of 2048 bits (RSA) or 256 (ECDSA) at least`,
	};
}

/** Those that OpenSSL heeds (RFC 5280 section 4.2, RFC 3779, RFC 3820, RFC 7633), and Netscape's. */
const knownExtensions = new Set([
	...['14', '15', '17', '18', '19', '30', '31', '32', '33', '35', '36', '37', '46', '54'].map(
		n => `2.5.29.${n}`,
	),
	...['1', '7', '8', '11', '14', '24'].map(n => `1.3.6.1.5.5.7.1.${n}`),
	...['1.3.6.1.5.5.7.48.1.5', '2.16.840.1.113730.1.1'],
]);

function firstUnknownExtension(path: readonly X509Certificate[]): [X509Certificate, string] | undefined {
	for (const certificate of path) {
		const unknown = extensionsOf(certificate).find(
			({identifier, isCritical}) => isCritical && !knownExtensions.has(identifier),
		);
		if (unknown !== undefined) return [certificate, unknown.identifier];
	}
	return undefined;
}

function which({path}: ServerChain, certificate: X509Certificate): string {
	return certificate === path[0]
		? `its certificate (${nameOf(certificate)})`
		: `the certificate of ${nameOf(certificate)} in its chain`;
}

function about({path: [leaf]}: ServerChain): string {
	return leaf === undefined ? '' : ` (${nameOf(leaf)})`;
}

function nameOf(certificate: X509Certificate): string {
	const names = certificate.subjectAltName ?? '';
	return cut(rfc2253Subject(certificate) || names || 'without a name');
}

function issuerOf({issuer}: X509Certificate): string {
	return cut((issuer ?? '').split('\n').reverse().join(','));
}

/** A stranger may have written it. */
function cut(text: string): string {
	const printable = text.replace(/[\p{Cc}\p{Cf}]/gu, '');
	return printable.length > 200 ? `${printable.slice(0, 200)}…` : printable;
}

function day(date: Date): string {
	return date.toISOString().slice(0, 10);
}
