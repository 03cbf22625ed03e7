/** Turns what is written about certificates into settings: paths made absolute, defaults filled in. */
import {join} from 'node:path';
import process from 'node:process';
import {homeFolder, resolvePath} from '../strategy/paths.ts';
import {type CertificateKeyType, type CertificateSettings, defaultSettings} from './certificate-settings.ts';
import type {ValidationContext} from './context.ts';
import type {ConfigurationInput} from './schema.ts';
import type {Salvaged} from './settings.ts';

type CertificatesInput = Salvaged<NonNullable<ConfigurationInput['certificates']>>;

const keyTypes: Readonly<Record<string, CertificateKeyType>> = {
	ecdsa: {type: 'ecdsa', curve: 'secp256r1'},
	'ecdsa-p384': {type: 'ecdsa', curve: 'secp384r1'},
	rsa: {type: 'rsa', size: 2048},
	'rsa-3072': {type: 'rsa', size: 3072},
	'rsa-4096': {type: 'rsa', size: 4096},
};

/** Options of authenticators and installers that are paths. */
const paths = ['path', 'certificate', 'key', 'chain', 'configuration', 'credentials'];

export function validateCertificates(
	input: CertificatesInput,
	{folder, environment}: Pick<ValidationContext, 'folder' | 'environment'>,
): CertificateSettings {
	const absolute = (path: string): string => resolvePath(path, folder, environment);
	const {keyType, externalAccountBinding, hooks, folder: written, authenticator, installer, ...rest} = input;
	const {kid, hmacKey, algorithm} = externalAccountBinding ?? {};
	return {
		...defaultSettings,
		...(Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)) as object),
		folder: written === undefined ? defaultFolder(environment) : absolute(written),
		keyType: keyTypes[keyType ?? 'ecdsa'] as CertificateKeyType,
		hooks: hooks ?? {},
		...(authenticator?.name !== undefined && {authenticator: withPaths(authenticator, absolute)}),
		...(installer?.name !== undefined && {installer: withPaths(installer, absolute)}),
		...(kid !== undefined && hmacKey !== undefined && {externalAccountBinding: {kid, hmacKey, algorithm}}),
		identityOnly: input.identityOnly ?? installer?.name === 'identity',
	} as CertificateSettings;
}

function withPaths(plugIn: object, absolute: (path: string) => string): object {
	return Object.fromEntries(
		Object.entries(plugIn).map(([name, value]) => [
			name,
			paths.includes(name) && typeof value === 'string' ? absolute(value) : value,
		]),
	);
}

/** Root shares certbot's own; everybody else has one of their own. */
function defaultFolder(environment: ValidationContext['environment']): string {
	if (process.getuid?.() === 0) return '/etc/letsencrypt';
	const configurations = environment.XDG_CONFIG_HOME || join(homeFolder(environment), '.config');
	return join(configurations, 'gatepass/letsencrypt');
}
