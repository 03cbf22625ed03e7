/** Puts an issued certificate into use, and goes back to the one before. */

import type {X509Certificate} from 'node:crypto';
import {render} from '../diagnostics/diagnostic.ts';
import {CertificateError, GatepassError} from '../errors.ts';
import {writingInto} from '../files/durable.ts';
import {judgeClientUse} from '../identities/client-use.ts';
import {toPem} from '../x509/certificates.ts';
import {readBounded} from '../x509/files.ts';
import {rfc2253Subject} from '../x509/names.ts';
import {IdentityFolder} from './folder.ts';
import {certificateOfKey, chainOf, checkIssued, readIssued} from './issued-certificate.ts';
import {rememberFolder} from './known-folders.ts';
import {dropPending, type PendingRequest, publicKeyOf, readPending} from './pending-request.ts';
import {certificateIn, isPair, type Version} from './version.ts';

/** What a change put into use, and what it replaced. */
export interface Installation {
	readonly certificate: X509Certificate;
	readonly version: Version;
	/** What was in use before; absent for the first certificate. */
	readonly replaced?: {readonly certificate: X509Certificate; readonly version: Version};
	/** Sentences about what may need care. */
	readonly warnings: readonly string[];
}

export interface InstallSettings {
	/** The folder of the identity. */
	readonly path: string;
	/** What was issued. */
	readonly bytes: Buffer;
	/** Where that came from, for messages. */
	readonly source: string;
	/** Whether the successor may have another subject. */
	readonly allowNewSubject?: boolean;
}

/**
 * Put an issued certificate into use. One that was installed before, and is still kept, is put into use again.
 *
 * @throws {CertificateError} where it is not the answer to the pending request, or cannot be used.
 */
export async function install({
	path,
	bytes,
	source,
	allowNewSubject = false,
}: InstallSettings): Promise<Installation> {
	const folder = new IdentityFolder(path);
	const issued = await readIssued(bytes, source);
	const pending = await readPending(folder);
	const installed = await folder.installed();
	const kept = await findKept(folder, issued);
	const certificate =
		kept?.certificate ??
		(pending && certificateOfKey(issued, await publicKeyOf(pending.key))) ??
		reject(issued, source, path, pending);
	checkIssued(certificate, source);
	const warnings = checkSubject(certificate, installed?.[0], source, allowNewSubject);
	const {chain, warning} = chainOf(certificate, issued, installed ?? [], source);
	if (warning !== undefined) warnings.push(warning);
	warnings.push(...judgeClientUse(chain, source).doubts.map(render));

	return writingInto(path, async () => {
		await folder.prepare();
		const before = await folder.adopt();
		const version = kept?.version ?? (await addVersion(folder, chain, pending as PendingRequest, before));
		await folder.use(version);
		await folder.prune();
		// Its key is in the version now, also where an earlier command was interrupted right here.
		if (pending && certificate.publicKey.equals(await publicKeyOf(pending.key))) await dropPending(folder);
		await rememberFolder(path);
		return {certificate, version, warnings, ...replacedBy(version, before, installed?.[0])};
	});
}

/**
 * Put the version into use again that was before the present one.
 *
 * @throws {GatepassError} where there is none, or it cannot be used any more.
 */
export async function goBack(path: string): Promise<Installation> {
	const folder = new IdentityFolder(path);
	const current = await folder.current();
	const present = await folder.installed();
	if (current === undefined || present?.[0] === undefined) {
		throw new GatepassError({
			code: 'nothing-to-roll-back',
			what: `${path} holds no certificate that 'gatepass cert install' put there, so there is none to go back to`,
			hint: '',
		});
	}
	const version = current.previous === undefined ? undefined : await folder.version(current.previous);
	if (version === undefined) {
		throw new GatepassError({
			code: 'nothing-to-roll-back',
			what: `There is no certificate before the present one in ${path}`,
			hint: "'gatepass cert list' shows what is kept",
		});
	}
	const certificate = await certificateIn(version);
	if (certificate === undefined || !(await isPair(certificate, version.key))) {
		throw new CertificateError({
			code: 'nothing-to-roll-back',
			what: `What was in ${path} before cannot be used: its certificate and key do not belong together`,
			hint: '',
		});
	}
	if (version.revokedAt !== undefined) {
		throw new CertificateError({
			code: 'nothing-to-roll-back',
			what: `The certificate before the present one in ${path} is revoked`,
			hint: "Ask for a new one with 'gatepass cert request'",
		});
	}
	if (certificate.validToDate.getTime() < Date.now()) {
		throw new CertificateError({
			code: 'nothing-to-roll-back',
			what: `The certificate before the present one in ${path} expired on ${certificate.validToDate.toISOString().slice(0, 10)}`,
			hint: "Ask for a new one with 'gatepass cert request'",
		});
	}
	await writingInto(path, async () => {
		await folder.prepare();
		await folder.use(version);
	});
	const warnings = subjectChange(certificate, present[0]);
	return {certificate, version, replaced: {certificate: present[0], version: current}, warnings};
}

/** The version whose certificate was issued, where it is still kept. */
async function findKept(
	folder: IdentityFolder,
	issued: readonly X509Certificate[],
): Promise<{version: Version; certificate: X509Certificate} | undefined> {
	const thumbprints = new Set(issued.map(({fingerprint256}) => fingerprint256));
	for (const version of await folder.versions()) {
		const certificate = await certificateIn(version);
		if (certificate === undefined || !thumbprints.has(certificate.fingerprint256)) continue;
		if (version.revokedAt !== undefined) {
			throw new CertificateError({
				code: 'certificate-revoked',
				what: `That certificate was revoked on ${new Date(version.revokedAt).toISOString().slice(0, 10)}`,
				hint: "Ask for a new one with 'gatepass cert request'",
			});
		}
		return {version, certificate};
	}
	return undefined;
}

function addVersion(
	folder: IdentityFolder,
	chain: readonly X509Certificate[],
	pending: PendingRequest,
	before: Version | undefined,
): Promise<Version> {
	return readBounded(pending.key).then(key =>
		folder.add(chain.map(toPem).join(''), key, {
			installedAt: Date.now(),
			...(before !== undefined && {previous: before.name}),
			serviceAccount: pending.serviceAccount,
			authority: pending.authority,
		}),
	);
}

function reject(
	issued: readonly X509Certificate[],
	source: string,
	path: string,
	pending: PendingRequest | undefined,
): never {
	if (pending === undefined) {
		throw new CertificateError({
			code: 'request-not-pending',
			what: `No request is pending in ${path}, so there is no key for the certificate in ${source}`,
			hint: 'Name the folder of the request with --to',
		});
	}
	const subjects = issued.filter(({ca}) => !ca).map(rfc2253Subject);
	const found = subjects.length === 0 ? '' : ` (${subjects.join('; ')})`;
	throw new CertificateError({
		code: 'certificate-not-of-request',
		what: `The certificate in ${source}${found} does not belong to the request that is pending in ${path}`,
		hint: `Download the one that was issued for ${pending.request}`,
	});
}

function checkSubject(
	certificate: X509Certificate,
	installed: X509Certificate | undefined,
	source: string,
	allowNewSubject: boolean,
): string[] {
	const changes = installed === undefined ? [] : subjectChange(certificate, installed);
	if (changes.length > 0 && installed !== undefined && !allowNewSubject) {
		throw new CertificateError({
			code: 'certificate-subject-changed',
			what: `The certificate in ${source} has the subject ${rfc2253Subject(certificate)}, but the one in use has ${rfc2253Subject(installed)}`,
			hint: 'Servers know the robot by its subject: have it issued with the same one, or give --allow-new-subject and register the new one with them',
		});
	}
	return changes;
}

function subjectChange(certificate: X509Certificate, before: X509Certificate): string[] {
	const [subject, old] = [rfc2253Subject(certificate), rfc2253Subject(before)];
	return subject === old
		? []
		: [`The subject has changed from ${old} to ${subject}: servers have to know it`];
}

function replacedBy(
	version: Version,
	before: Version | undefined,
	certificate: X509Certificate | undefined,
): Pick<Installation, 'replaced'> {
	if (before === undefined || certificate === undefined || before.name === version.name) return {};
	return {replaced: {version: before, certificate}};
}
