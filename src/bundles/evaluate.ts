/** Judges one certificate of a bundle: is it a CA's, how long does it last, is its issuer there. */
import type {X509Certificate} from 'node:crypto';
import type {DiagnosticCode} from '../diagnostics/codes.ts';
import {type Severity, warning} from '../diagnostics/diagnostic.ts';
import {isIssuedBy, isSelfIssued} from '../x509/certificates.ts';
import {rfc2253Issuer, rfc2253Subject} from '../x509/names.ts';
import {type BundleFault, rebuild} from './fault.ts';

const day = 86_400_000;
const warningDays = 30;

/** What a certificate is in itself. */
export function judge(certificate: X509Certificate, days: number, now: number): BundleFault[] {
	const {ca, validToDate, validFromDate} = certificate;
	const subject = rfc2253Subject(certificate);
	const fault = (code: DiagnosticCode, what: string, hint = rebuild, severity: Severity = 'error') => [
		{code, severity, subject, what, hint},
	];
	if (!ca) {
		const hint = 'Take it out: it vouches for nobody, and expires long before its issuer';
		return fault('ca-certificate-is-leaf', 'it is a leaf, not a CA certificate', hint);
	}
	const end = validToDate.toISOString().slice(0, 10);
	const left = Math.floor((validToDate.getTime() - now) / day);
	if (left < 0) return fault('ca-certificate-expired', `it expired on ${end}`);
	if (left < days)
		return fault(
			'ca-certificate-expires-soon',
			`it expires on ${end}, in ${left} days (${days} are asked for)`,
		);
	if (left < warningDays) {
		return fault('ca-certificate-expires-soon', `it expires on ${end}, in ${left} days`, rebuild, 'warning');
	}
	if (validFromDate.getTime() > now) {
		return fault('ca-certificate-not-yet-valid', `it begins on ${validFromDate.toISOString().slice(0, 10)}`);
	}
	return [];
}

/** An intermediate alone verifies nothing: OpenSSL wants the chain to end at a root. */
export function orphaned(certificate: X509Certificate, all: readonly X509Certificate[]): BundleFault[] {
	if (!certificate.ca || isSelfIssued(certificate)) return [];
	if (all.some(issuer => isIssuedBy(certificate, issuer))) return [];
	const what = `its issuer ${rfc2253Issuer(certificate)} is not in the bundle`;
	const hint = 'Add the issuer, unless the system trusts it';
	return [{...warning({code: 'bundle-issuer-missing', what, hint}), subject: rfc2253Subject(certificate)}];
}
