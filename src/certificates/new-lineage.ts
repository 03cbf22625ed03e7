/** Keeps a certificate as a lineage, with all that its renewals need to know. */
import type {CertbotFolder} from '../lineages/certbot/folder.ts';
import {Lineage, type VersionFiles} from '../lineages/certbot/lineage.ts';
import {keepCredentials} from './dns-credentials.ts';
import type {ObtainOptions} from './ordering.ts';
import {type ManagerParts, serverOf} from './parts.ts';
import {type RenewalParameters, writeParameters} from './renewal-parameters.ts';

/** @param account the name on disk of the one that ordered it; `undefined`: none did. */
export async function newLineage(
	parts: ManagerParts,
	folder: CertbotFolder,
	name: string,
	{files, options, account}: {files: VersionFiles; options: ObtainOptions; account: string | undefined},
): Promise<Lineage> {
	const lineage = await Lineage.create(folder, name, files, {});
	const parameters = parametersOf(parts, options, account);
	writeParameters(lineage.configuration, {
		...parameters,
		authenticator: await keepCredentials(folder, name, parameters.authenticator),
	});
	await lineage.save();
	return lineage;
}

function parametersOf(
	parts: ManagerParts,
	options: ObtainOptions,
	account: string | undefined,
): RenewalParameters {
	const {settings} = parts;
	return {
		server: serverOf(parts, options.server),
		account,
		authenticator: options.authenticator ?? settings.authenticator,
		keyType: options.keyType ?? settings.keyType,
		reuseKey: options.reuseKey ?? settings.reuseKey,
		preferredChain: options.preferredChain ?? settings.preferredChain,
		profile: options.profile ?? settings.profile,
		deployHook: options.deployHook,
		preHook: options.preHook,
		postHook: options.postHook,
		preferredChallenges: options.preferredChallenges,
		allowSubset: options.allowSubset,
	};
}
