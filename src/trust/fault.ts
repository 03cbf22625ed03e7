/** What speaks against a chain of certificates besides what OpenSSL verifies. */
import type {X509Certificate} from 'node:crypto';
import type {DiagnosticCode} from '../diagnostics/codes.ts';

/** What each kind of fault is, for programs. */
export const faultCodes: Readonly<Record<ChainFault['kind'], DiagnosticCode>> = {
	revoked: 'server-certificate-revoked',
	'outside namespace': 'policy-forbids-name',
	'not to vouch': 'server-untrusted',
	'unusable policy': 'policy-unusable',
	'no revocation list': 'revocation-list-missing',
	'unusable revocation list': 'revocation-list-unusable',
};

export interface ChainFault {
	readonly kind:
		| 'revoked'
		| 'outside namespace'
		| 'not to vouch'
		| 'unusable policy'
		| 'no revocation list'
		| 'unusable revocation list';
	/** The certificate that it speaks against. */
	readonly certificate: X509Certificate;
	/** The file that says so, or that is at fault. */
	readonly file?: string;
	/** What is wrong, as the end of a sentence: `… is revoked, says FILE`. */
	readonly what: string;
	/** What to do about it, as a sentence without its full stop. */
	readonly hint: string;
}
