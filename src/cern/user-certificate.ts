/** Where cernrequests looks for the user's certificate. */
import {statSync} from 'node:fs';
import {join, resolve} from 'node:path';
import process from 'node:process';
import {CredentialUnavailableError} from '../errors.ts';
import {homeFolder} from '../strategy/paths.ts';
import type {Environment, IdentitySource} from '../strategy/services.ts';

/** PEM files of a certificate and its key. Absolute paths. */
export interface UserCertificatePaths {
	readonly certificate: string;
	readonly key: string;
}

const variable = 'CERN_CERTIFICATE_PATH';

/**
 * `usercert.pem` and `userkey.pem` in the folder that `CERN_CERTIFICATE_PATH` names, or else in `~/private`, or else in
 * `~/.globus`.
 *
 * @throws {CredentialUnavailableError} where they are not there.
 */
export function findUserCertificate(environment: Environment): UserCertificatePaths {
	const named = environment[variable];
	const folders = named ? [resolve(process.cwd(), named)] : usualFolders(environment);
	const found = folders.map(pairIn).find(isThere);
	if (found !== undefined) return found;
	throw new CredentialUnavailableError(
		named
			? {
					code: 'grid-certificate-not-found',
					what: `${variable} names ${folders[0]}, which does not hold both usercert.pem and userkey.pem`,
					hint: 'Put them there, or unset the variable',
				}
			: {
					code: 'grid-certificate-not-found',
					what: `There are no usercert.pem and userkey.pem in ${folders.join(' or ')}`,
					hint: `Put them there, or name their folder in ${variable}`,
				},
	);
}

/**
 * The same as a source of an identity. Where cernrequests would find nothing, it is left to gatepass, which knows more
 * places and forms.
 */
export function sourceOfUserCertificate(environment: Environment): IdentitySource {
	const named = environment[variable];
	if (named) {
		const directory = resolve(process.cwd(), named);
		return isFile(join(directory, 'usercred.p12')) ? {directory} : findUserCertificate(environment);
	}
	const folder = usualFolders(environment).find(candidate => isThere(pairIn(candidate)));
	return folder === undefined ? {} : {directory: folder};
}

function usualFolders(environment: Environment): string[] {
	return ['private', '.globus'].map(name => join(homeFolder(environment), name));
}

function pairIn(folder: string): UserCertificatePaths {
	return {certificate: join(folder, 'usercert.pem'), key: join(folder, 'userkey.pem')};
}

function isThere({certificate, key}: UserCertificatePaths): boolean {
	return isFile(certificate) && isFile(key);
}

function isFile(path: string): boolean {
	return statSync(path, {throwIfNoEntry: false})?.isFile() === true;
}
