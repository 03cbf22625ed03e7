/** The request that waits for its certificate: its key, the request itself, and what is known about it. */
import {createPublicKey, type KeyObject} from 'node:crypto';
import {mkdir, rename, rm} from 'node:fs/promises';
import {join} from 'node:path';
import {GatepassError} from '../errors.ts';
import {
	isThere,
	putInPlace,
	replaceFile,
	syncFolder,
	temporaryBeside,
	writeToDisk,
} from '../files/durable.ts';
import type {IssuerName} from '../issuers/issuers.ts';
import type {KeyAndRequest} from '../x509/certificate-request.ts';
import {readBounded} from '../x509/files.ts';
import {parsePrivateKey} from '../x509/private-keys.ts';
import {type IdentityFolder, keyName} from './folder.ts';

export const requestName = 'usercert_request.pem';

/** What is noted of a request. */
export interface RequestNotes {
	readonly serviceAccount: string;
	/** The subject that it asks for, as RFC 2253 writes it. */
	readonly subject: string;
	/** Whether a certificate of that subject was in use. */
	readonly isRenewal: boolean;
	/** Milliseconds since 1970. */
	readonly createdAt: number;
	readonly authority: IssuerName;
	/** What the authority knows it by; absent as long as it was not handed in, or where that is done by hand. */
	readonly reference?: string;
}

export interface PendingRequest extends RequestNotes {
	/** The file of the certificate request. */
	readonly request: string;
	/** The file of the key. */
	readonly key: string;
}

/** The request that is pending in a folder. */
export async function readPending(folder: IdentityFolder): Promise<PendingRequest | undefined> {
	const place = placeIn(folder);
	if (!(await isThere(place))) return undefined;
	const file = join(place, notesName);
	try {
		const notes = JSON.parse((await readBounded(file)).toString('utf8')) as RequestNotes;
		return {...notes, request: join(place, requestName), key: join(place, keyName)};
	} catch (error) {
		throw new GatepassError(
			{
				code: 'request-damaged',
				what: `${file} is damaged, so what is known about the pending request is lost`,
				hint: "Make a new one with 'gatepass cert request --new'",
			},
			{cause: error},
		);
	}
}

/** Keep a new request. There is one at a time: the place of another one is not taken. */
export async function keepPending(
	folder: IdentityFolder,
	{key, request}: KeyAndRequest,
	notes: RequestNotes,
): Promise<PendingRequest> {
	const place = placeIn(folder);
	const temporary = temporaryBeside(place);
	await mkdir(temporary, {mode: 0o700});
	await writeToDisk(join(temporary, keyName), key, 0o600);
	await writeToDisk(join(temporary, requestName), request, 0o644);
	await writeToDisk(join(temporary, notesName), toText(notes), 0o600);
	await syncFolder(temporary);
	try {
		await putInPlace(temporary, place);
	} catch (error) {
		const {code} = error as NodeJS.ErrnoException;
		if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
		throw new GatepassError(
			{
				code: 'request-pending',
				what: `Another command has just made a request in ${folder.path}`,
				hint: 'Run this one again to see it',
			},
			{cause: error},
		);
	}
	return (await readPending(folder)) as PendingRequest;
}

/** Note something more of the pending request, such as that it was handed in. */
export async function notePending(
	folder: IdentityFolder,
	pending: PendingRequest,
	more: Partial<RequestNotes>,
): Promise<PendingRequest> {
	const {request, key, ...notes} = {...pending, ...more};
	await replaceFile(join(placeIn(folder), notesName), toText(notes), 0o600);
	return {...notes, request, key};
}

/** Drop the pending request with its key: it was answered, or is not wanted any more. */
export async function dropPending(folder: IdentityFolder): Promise<void> {
	const place = placeIn(folder);
	if (!(await isThere(place))) return;
	// Renamed first, so that nobody ever sees half of it.
	const temporary = temporaryBeside(place);
	await rename(place, temporary);
	await rm(temporary, {recursive: true, force: true});
}

/** The public key of a pair. */
export async function publicKeyOf(keyFile: string): Promise<KeyObject> {
	return createPublicKey(parsePrivateKey(await readBounded(keyFile), keyFile));
}

const notesName = 'request.json';

function placeIn(folder: IdentityFolder): string {
	return join(folder.own, 'pending');
}

function toText(notes: RequestNotes): string {
	return `${JSON.stringify(notes, null, '\t')}\n`;
}
