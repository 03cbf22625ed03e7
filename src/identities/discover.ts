/** Finds the user's grid certificate where cernrequests and the grid's own tools keep it. */
import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {CredentialUnavailableError} from '../errors.ts';
import {homeFolder, resolvePath} from '../paths.ts';
import type {Environment, IdentitySource} from '../services.ts';
import type {IdentityFiles} from './file-identity.ts';

const certificateName = 'usercert.pem';
const keyName = 'userkey.pem';

/**
 * The files that `source` names; where it names none, those found on this machine: in the folder that
 * `CERN_CERTIFICATE_PATH` names, else in `~/private`, else in `~/.globus`, as `usercert.pem` and `userkey.pem`.
 *
 * @throws {CredentialUnavailableError} where there are none, or a place that was named lacks them.
 */
export function findIdentityFiles(
	source: IdentitySource,
	folder: string,
	environment: Environment,
): IdentityFiles {
	const {certificate, key, directory, passphrase} = source;
	if (certificate !== undefined && key !== undefined) {
		return {
			certificate: resolvePath(certificate, folder, environment),
			key: resolvePath(key, folder, environment),
			passphrase,
		};
	}
	if (directory !== undefined) {
		return {
			...inNamedFolder(resolvePath(directory, folder, environment), "the option 'directory'"),
			passphrase,
		};
	}
	return {...discover(environment), passphrase};
}

function discover(environment: Environment): IdentityFiles {
	const named = environment.CERN_CERTIFICATE_PATH;
	if (named !== undefined && named !== '') {
		return inNamedFolder(
			resolvePath(named, process.cwd(), environment),
			'the variable CERN_CERTIFICATE_PATH',
		);
	}
	const home = homeFolder(environment);
	const folders = [join(home, 'private'), join(home, '.globus')];
	for (const place of folders) if (missingFrom(place).length === 0) return filesIn(place);
	throw new CredentialUnavailableError(
		`There is no grid certificate: neither ${folders.join(' nor ')} holds both ${certificateName} and ${keyName}. ` +
			"Put them there, or name their folder in CERN_CERTIFICATE_PATH or in the option 'directory'",
	);
}

/** A place that somebody named is meant: what it lacks is not looked for elsewhere. */
function inNamedFolder(place: string, namedBy: string): IdentityFiles {
	const missing = missingFrom(place);
	if (missing.length > 0) {
		throw new CredentialUnavailableError(
			`The folder ${place}, named by ${namedBy}, lacks ${missing.join(' and ')}. Put it there, or name another folder`,
		);
	}
	return filesIn(place);
}

function missingFrom(place: string): string[] {
	return [certificateName, keyName].filter(name => !existsSync(join(place, name)));
}

function filesIn(place: string): IdentityFiles {
	return {certificate: join(place, certificateName), key: join(place, keyName)};
}
