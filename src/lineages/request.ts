/** Asks for a robot certificate: makes the key and the request, keeps both, and hands the request in. */
import type {X509Certificate} from 'node:crypto';
import {GatepassError} from '../errors.ts';
import {writingInto} from '../files/durable.ts';
import type {IssuerName} from '../issuers/issuers.ts';
import {issuerOf} from '../issuers/issuers.ts';
import {type KeyType, makeRequest, robotName} from '../x509/certificate-request.ts';
import {readBounded} from '../x509/files.ts';
import {kindOf} from '../x509/kind.ts';
import {rfc2253Subject, subjectValues} from '../x509/names.ts';
import {IdentityFolder} from './folder.ts';
import {rememberFolder} from './known-folders.ts';
import {
	dropPending,
	keepPending,
	notePending,
	type PendingRequest,
	publicKeyOf,
	readPending,
} from './pending-request.ts';

export interface RequestSettings {
	/** The folder of the identity. */
	readonly path: string;
	/** Default, on a renewal: that of the certificate in use. */
	readonly serviceAccount?: string | undefined;
	readonly keyType: KeyType;
	/** Default: the one of the pending request; by hand for a new one. */
	readonly authority?: IssuerName | undefined;
	/** Drop the request that is pending, and make a new one. */
	readonly startAnew?: boolean;
}

export interface RequestOutcome {
	readonly pending: PendingRequest;
	/** The certificate request, in PEM. */
	readonly text: string;
	/** Whether it was pending already. */
	readonly wasPending: boolean;
	/** What a person has still to do; empty where it was handed in. */
	readonly instructions: readonly string[];
}

/** Make a request, or go on with the one that is pending. */
export async function requestCertificate(settings: RequestSettings): Promise<RequestOutcome> {
	const {path, startAnew = false} = settings;
	const folder = new IdentityFolder(path);
	const installed = (await folder.installed())?.[0];
	const serviceAccount = await accountOf(folder, installed, settings.serviceAccount);
	return writingInto(path, async () => {
		await folder.prepare();
		const found = startAnew ? undefined : await stillPending(folder, installed);
		if (startAnew) await dropPending(folder);
		if (found !== undefined) checkSameRequest(found, serviceAccount, path);
		const pending =
			found === undefined
				? await makePending(folder, installed, serviceAccount, settings)
				: await turnTo(folder, found, settings.authority);
		await rememberFolder(path);
		return handIn(folder, pending, found !== undefined);
	});
}

/** The pending request; one whose certificate is in use was answered, and is dropped. */
async function stillPending(
	folder: IdentityFolder,
	installed: X509Certificate | undefined,
): Promise<PendingRequest | undefined> {
	const pending = await readPending(folder);
	if (pending === undefined || !installed?.publicKey.equals(await publicKeyOf(pending.key))) return pending;
	await dropPending(folder);
	return undefined;
}

function checkSameRequest(pending: PendingRequest, serviceAccount: string, path: string): void {
	if (pending.serviceAccount === serviceAccount) return;
	throw new GatepassError(
		`A request for ${pending.serviceAccount} is pending in ${path}. Name another folder with --to for ${serviceAccount}, or drop that request with --new`,
	);
}

/** As long as the request was not handed in, it may go to another authority. */
async function turnTo(
	folder: IdentityFolder,
	pending: PendingRequest,
	authority: IssuerName | undefined,
): Promise<PendingRequest> {
	if (authority === undefined || pending.reference !== undefined) return pending;
	return notePending(folder, pending, {authority});
}

async function makePending(
	folder: IdentityFolder,
	installed: X509Certificate | undefined,
	serviceAccount: string,
	{keyType, authority}: RequestSettings,
): Promise<PendingRequest> {
	// The name of a successor is given: only that of a new robot has to be a good one.
	const subject =
		installed === undefined ? {commonName: robotName(serviceAccount)} : {ofCertificate: installed};
	const made = await makeRequest(subject, keyType);
	return keepPending(folder, made, {
		serviceAccount,
		subject: 'commonName' in subject ? `CN=${subject.commonName}` : rfc2253Subject(subject.ofCertificate),
		isRenewal: installed !== undefined,
		createdAt: Date.now(),
		authority: authority ?? {kind: 'by-hand'},
	});
}

async function handIn(
	folder: IdentityFolder,
	pending: PendingRequest,
	wasPending: boolean,
): Promise<RequestOutcome> {
	const text = (await readBounded(pending.request)).toString('utf8');
	if (pending.reference !== undefined) return {pending, text, wasPending, instructions: []};
	const authority = await issuerOf(pending.authority);
	const {subject, serviceAccount, isRenewal} = pending;
	const {reference, instructions = []} = await authority.request({
		request: text,
		subject,
		serviceAccount,
		isRenewal,
	});
	const noted = reference === undefined ? pending : await notePending(folder, pending, {reference});
	return {pending: noted, text, wasPending, instructions};
}

/**
 * The service account of the robot. The folder of another robot or of a person is not the place for it.
 *
 * @throws {GatepassError} where the folder is somebody else's, or nobody has said which account it is.
 */
async function accountOf(
	folder: IdentityFolder,
	installed: X509Certificate | undefined,
	named: string | undefined,
): Promise<string> {
	if (installed === undefined) {
		if (named !== undefined) robotName(named);
		const account = named ?? (await readPending(folder))?.serviceAccount;
		if (account !== undefined) return account;
		throw new GatepassError(
			`There is no robot in ${folder.path} yet. Name the service account that it runs as with --service-account`,
		);
	}
	const subject = rfc2253Subject(installed);
	if (kindOf(installed) !== 'robot') {
		throw new GatepassError(
			`${folder.path} holds a certificate that is no robot's: ${subject}. Name a folder of its own for the robot with --to`,
		);
	}
	const names = subjectValues(installed, 'CN').map(name => name.replace(/^robot\s*[:-]\s*/i, ''));
	const noted = (await folder.current())?.serviceAccount;
	if (named === undefined) return noted ?? (names.at(-1) as string);
	if (named === noted || names.includes(named)) return named;
	throw new GatepassError(
		`${folder.path} holds the robot ${subject}, whose successor keeps that subject. Name another folder with --to for ${named}, or leave --service-account out to renew this one`,
	);
}
