/** What is looked at before a server sees an identity; each failure is a `CertificateError` with the hint. */
import type {X509Certificate} from 'node:crypto';
import process from 'node:process';
import {type Diagnostic, warning} from '../diagnostics/diagnostic.ts';
import {CertificateError} from '../errors.ts';
import {isIssuedBy, isSelfIssued} from '../x509/certificates.ts';
import type {FileStatus} from '../x509/files.ts';
import {kindOf} from '../x509/kind.ts';
import {rfc2253Subject} from '../x509/names.ts';
import type {OwnChain} from '../x509/own-chain.ts';
import {proxyInfoOf} from '../x509/proxy.ts';

/** What a trust store can say of the chain of an identity. `detail` is a sentence without its full stop. */
export interface ChainVerdict {
	/** `unknown`: the trust store does not hold the certificates to tell. */
	readonly outcome: 'complete' | 'incomplete' | 'refused' | 'unknown';
	readonly detail?: string;
}

/** Judges a chain, leaf first. */
export type JudgeChain = (chain: readonly X509Certificate[]) => ChainVerdict | Promise<ChainVerdict>;

/** The error where the key belongs to none of the certificates. */
export function notTogether(files: {readonly certificate: string; readonly key: string}): CertificateError {
	return new CertificateError(
		files.certificate === files.key
			? {
					code: 'key-does-not-match',
					what: `The key in ${files.key} does not belong to any certificate in it`,
					hint: 'Put the pair into it that was issued together',
				}
			: {
					code: 'key-does-not-match',
					what: `The key ${files.key} does not belong to the certificate ${files.certificate}`,
					hint: 'Name the pair that was issued together',
				},
	);
}

/**
 * Whether the key file is for this user only: their own and at most 0600, or mounted for them by an orchestrator, which
 * is root's, for a group to read and nobody else.
 *
 * The first holds for root too, who could read any file: whoever owns a key file can put another key in its place, so
 * that root would act under a name that somebody else chose.
 */
export function checkKeyFile(
	file: string,
	status: FileStatus,
	user: number | undefined = process.geteuid?.(),
): void {
	// Windows has neither such rights nor such owners.
	if (user === undefined || isMountedFor(user, status)) return;
	if (status.uid !== user) {
		throw new CertificateError({
			code: 'key-of-another-user',
			what: `The key ${file} is owned by another user (${status.uid}; this one is ${user})`,
			hint:
				status.uid === 0
					? "Make it your own with 'chown', or have it mounted with mode 0440 for a group of this user"
					: "Make it your own with 'chown', or copy it to a file of your own",
		});
	}
	const rights = status.mode & 0o777;
	// More than reading and writing by the owner.
	if ((rights & ~0o600) !== 0) {
		const who = (rights & 0o077) === 0 ? 'may be executed' : 'may be read or changed by others';
		throw new CertificateError({
			code: 'key-readable-by-others',
			what: `The key ${file} ${who} (mode 0${rights.toString(8).padStart(3, '0')})`,
			hint: `Run 'chmod 600 ${file}'`,
		});
	}
}

/**
 * As Kubernetes mounts with an `fsGroup`, Docker with a `gid`, and systemd with an access list, whose mask stands where
 * the rights of the group do. That this user can read it is root's doing; nobody else may.
 */
function isMountedFor(user: number, {mode, uid}: FileStatus): boolean {
	const rights = mode & 0o777;
	return uid === 0 && user !== 0 && (rights & ~0o640) === 0 && (rights & 0o040) !== 0;
}

/** Whether the certificate itself, and all that stands behind it in the file, is valid now. */
export function checkValidity(chain: readonly X509Certificate[], file: string, now = Date.now()): void {
	for (const [index, certificate] of chain.entries()) {
		const isLeaf = index === 0;
		const isProxy = proxyInfoOf(certificate) !== undefined;
		const subject = isLeaf ? '' : ` ${rfc2253Subject(certificate)}, in the chain of`;
		const what = isLeaf ? (isProxy ? 'The proxy' : 'The certificate') : 'The certificate of';
		const end = certificate.validToDate.getTime();
		if (now > end) {
			throw new CertificateError({
				code: 'certificate-expired',
				what: `${what}${subject} ${file} expired on ${instant(end)}`,
				hint: hintForEnd(certificate, isLeaf, isProxy),
			});
		}
		const begin = certificate.validFromDate.getTime();
		if (now < begin) {
			throw new CertificateError({
				code: 'certificate-not-yet-valid',
				what: `${what}${subject} ${file} begins on ${instant(begin)}`,
				hint: "Check this machine's clock, or use an older one until then",
			});
		}
	}
}

/** What needs a person's attention although servers may take the certificate. */
export function warningsAbout({leftOut}: Pick<OwnChain, 'leftOut'>, file: string): Diagnostic[] {
	const [first] = leftOut;
	// A root is needless in any case.
	if (first === undefined || leftOut.every(isSelfIssued)) return [];
	const end = first.validToDate.getTime();
	const what = end < Date.now() ? `expired on ${instant(end)}` : 'is not valid yet';
	return [
		warning({
			code: 'certificate-chain-outdated',
			what: `The certificate of ${rfc2253Subject(first)} in ${file} ${what}, so it is not shown`,
			hint: "If servers refuse the chain, put its CA's present certificate in its place",
		}),
	];
}

function hintForEnd(certificate: X509Certificate, isLeaf: boolean, isProxy: boolean): string {
	if (isProxy) return "Make a new one with 'voms-proxy-init' or 'grid-proxy-init'";
	if (isLeaf) return 'Renew it';
	return certificate.ca
		? "Put its CA's present certificate in its place, or take it out"
		: 'Renew it, and make a new proxy from it';
}

/** A certificate that vouches for itself is no client certificate: no server can tell whose it is. */
export function checkSelfSigned(leaf: X509Certificate, file: string): void {
	if (!isSelfIssued(leaf) || !isIssuedBy(leaf, leaf)) return;
	const hint = leaf.ca
		? 'Name a certificate that this CA issued'
		: 'Have one issued by a certificate authority that the server trusts';
	throw new CertificateError({
		code: 'certificate-self-signed',
		what: `The certificate ${file} is ${leaf.ca ? 'that of a certificate authority' : 'self-signed, so servers refuse it'}`,
		hint: hint,
	});
}

/**
 * Whether each proxy in the chain is followed by the certificate that it was made from, lasts no longer than that,
 * and was allowed by it (RFC 3820 sections 3.4 and 3.8.1).
 */
export function checkProxies(chain: readonly X509Certificate[], file: string): void {
	for (const [index, proxy] of chain.entries()) {
		if (proxyInfoOf(proxy) === undefined) return;
		const issuer = chain[index + 1];
		if (issuer === undefined) {
			throw new CertificateError({
				code: 'proxy-incomplete',
				what: `The proxy ${file} lacks the certificate that it was made from`,
				hint: makeProxyAgain,
			});
		}
		if (proxy.validToDate > issuer.validToDate) {
			throw new CertificateError({
				code: 'proxy-outlives-certificate',
				what: `The proxy ${file} lasts until ${instant(proxy.validToDate.getTime())}, but what it was made from expires on ${instant(issuer.validToDate.getTime())}`,
				hint: 'Make a shorter one, or renew the certificate first',
			});
		}
		const allowed = proxyInfoOf(issuer)?.pathLength;
		if (allowed !== undefined && allowed < index + 1) {
			throw new CertificateError({
				code: 'proxy-too-deep',
				what: `The proxy ${file} was made from a proxy that allows ${allowed} more`,
				hint: 'Make it from the certificate itself',
			});
		}
	}
}

const makeProxyAgain = "Make it again with 'voms-proxy-init' or 'grid-proxy-init'";

/** Whether the certificate, or the one that a proxy was made from, is that of a robot. */
export function checkRobot(chain: readonly X509Certificate[], file: string): void {
	const holder = chain.find(certificate => proxyInfoOf(certificate) === undefined);
	const kind = holder && kindOf(holder);
	if (kind === 'robot') return;
	const found = kind === undefined ? 'not known to be that of a robot' : `that of a ${kind}`;
	throw new CertificateError({
		code: 'not-a-robot',
		what: `The certificate ${file} is ${found}, but 'requireRobot' is set`,
		hint: "Name a robot's, or take 'requireRobot' out",
	});
}

/** Whether the chain leads to a CA, as far as `judge` can tell. */
export async function checkChain(
	chain: readonly X509Certificate[],
	file: string,
	judge: JudgeChain,
): Promise<void> {
	const {outcome, detail} = await judge(chain);
	if (outcome === 'complete' || outcome === 'unknown') return;
	const reason = detail === undefined ? '' : `: ${detail}`;
	throw new CertificateError(
		outcome === 'incomplete'
			? {
					code: 'certificate-chain-incomplete',
					what: `The chain of ${file} is not complete${reason}`,
					hint: 'Append the certificates of its CA to it',
				}
			: {
					code: 'certificate-unusable',
					what: `The certificate ${file} is refused${reason}`,
					hint: 'Have a new one issued',
				},
	);
}

/** The day, and where that says too little the minute too. */
function instant(time: number): string {
	const text = new Date(time).toISOString();
	const isNear = Math.abs(time - Date.now()) < 2 * 86_400_000;
	return isNear ? `${text.slice(0, 10)} at ${text.slice(11, 16)} UTC` : text.slice(0, 10);
}
