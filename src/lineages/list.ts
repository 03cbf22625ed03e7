/** Lists the identities in folders: what is in use, until when, what is kept, and what is pending. */
import type {X509Certificate} from 'node:crypto';
import type {CertificateKind} from '../strategy/services.ts';
import {kindOf} from '../x509/kind.ts';
import {rfc2253Issuer, rfc2253Subject, subjectValues} from '../x509/names.ts';
import {IdentityFolder} from './folder.ts';
import {type PendingRequest, publicKeyOf, readPending} from './pending-request.ts';
import {certificateIn, type Version} from './version.ts';

/** One identity, as `gatepass cert list --json` prints it. Times are milliseconds since 1970. */
export interface ListedIdentity {
	/** The service account of a robot, else the common name. */
	readonly name: string;
	/** Names of hosts in the certificate; empty for robots and people. */
	readonly domains: readonly string[];
	readonly folder: string;
	readonly kind?: CertificateKind;
	readonly subject?: string;
	readonly issuer?: string;
	readonly notBefore?: number;
	/** Absent where no certificate is installed yet. */
	readonly notAfter?: number;
	/** Whether it is time to renew it. */
	readonly due: boolean;
	readonly revoked?: boolean;
	readonly pending?: ListedRequest;
	/** What was installed, the oldest first; empty where the files were put there by other means. */
	readonly versions: readonly ListedVersion[];
	/** Why the certificate cannot be read. */
	readonly problem?: string;
}

/** A request that waits for its certificate. */
export interface ListedRequest {
	/** The file of the certificate request. */
	readonly request: string;
	readonly subject: string;
	readonly since: number;
	/** What the authority knows it by. */
	readonly reference?: string;
}

export interface ListedVersion {
	readonly name: string;
	readonly installedAt: number;
	readonly notAfter?: number;
	readonly current: boolean;
	readonly revoked?: boolean;
}

const day = 86_400_000;

/** The identity of a folder; `undefined` where there is neither one nor a request for one. */
export async function listIdentity(path: string, now = Date.now()): Promise<ListedIdentity | undefined> {
	const folder = new IdentityFolder(path);
	try {
		const leaf = (await folder.installed())?.[0];
		const pending = await unanswered(folder, leaf);
		if (leaf === undefined && pending === undefined) return undefined;
		const current = await folder.current();
		const versions = await folder.versions();
		return {
			name: current?.serviceAccount ?? pending?.serviceAccount ?? (leaf && nameOf(leaf)) ?? path,
			domains: leaf === undefined ? [] : domainsOf(leaf),
			folder: path,
			...(leaf === undefined ? {due: false} : describe(leaf, now)),
			...(current?.revokedAt !== undefined && {revoked: true}),
			...(pending !== undefined && {pending: describePending(pending)}),
			versions: await Promise.all(versions.map(version => describeVersion(version, current))),
		};
	} catch (error) {
		return {
			name: path,
			domains: [],
			folder: path,
			due: true,
			versions: [],
			problem: (error as Error).message,
		};
	}
}

/** A request whose certificate is in use is none any more. */
async function unanswered(
	folder: IdentityFolder,
	leaf: X509Certificate | undefined,
): Promise<PendingRequest | undefined> {
	const pending = await readPending(folder);
	if (pending === undefined || !leaf?.publicKey.equals(await publicKeyOf(pending.key))) return pending;
	return undefined;
}

function describe(
	leaf: X509Certificate,
	now: number,
): Pick<ListedIdentity, 'kind' | 'subject' | 'issuer' | 'notBefore' | 'notAfter' | 'due'> {
	const kind = kindOf(leaf);
	const [notBefore, notAfter] = [leaf.validFromDate.getTime(), leaf.validToDate.getTime()];
	return {
		...(kind !== undefined && {kind}),
		subject: rfc2253Subject(leaf),
		issuer: rfc2253Issuer(leaf),
		notBefore,
		notAfter,
		// 30 days ahead, when the first warning comes; a short-lived one when a third of its life is left.
		due: notAfter - now <= Math.min(30 * day, (notAfter - notBefore) / 3),
	};
}

function describePending({request, subject, createdAt, reference}: PendingRequest): ListedRequest {
	return {request, subject, since: createdAt, ...(reference !== undefined && {reference})};
}

async function describeVersion(version: Version, current: Version | undefined): Promise<ListedVersion> {
	const certificate = await certificateIn(version);
	return {
		name: version.name,
		installedAt: version.installedAt,
		...(certificate !== undefined && {notAfter: certificate.validToDate.getTime()}),
		current: version.name === current?.name,
		...(version.revokedAt !== undefined && {revoked: true}),
	};
}

/** The most specific common name, without the mark of a robot. */
function nameOf(leaf: X509Certificate): string {
	return (
		subjectValues(leaf, 'CN')
			.at(-1)
			?.replace(/^robot\s*[:-]\s*/i, '') ?? rfc2253Subject(leaf)
	);
}

function domainsOf({subjectAltName = ''}: X509Certificate): string[] {
	return subjectAltName
		.split(', ')
		.filter(name => name.startsWith('DNS:'))
		.map(name => name.slice('DNS:'.length));
}
