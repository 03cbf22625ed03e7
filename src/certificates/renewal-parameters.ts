/**
 * What certbot needs to know to renew a certificate of ours, and what gatepass needs of one of certbot's: the section
 * `renewalparams`. What certbot has no word for stands in a section of our own, which it leaves alone.
 */

import type {AuthenticatorSettings, CertificateKeyType} from '../config/certificate-settings.ts';
import type {ConfigObject, ConfigValue} from '../lineages/certbot/config-object.ts';

const section = ['renewalparams'];
const own = ['gatepass'];

/** Of ours that certbot lacks. */
const withoutSecrets: readonly string[] = ['tls-alpn-01', 'dns-persist-01'];

/** How a lineage was obtained, and will be again. */
export interface RenewalParameters {
	readonly server: string;
	readonly account?: string | undefined;
	readonly authenticator?: AuthenticatorSettings | undefined;
	readonly keyType?: CertificateKeyType | undefined;
	readonly reuseKey?: boolean | undefined;
	readonly preferredChain?: string | undefined;
	readonly profile?: string | undefined;
	readonly deployHook?: string | undefined;
	readonly preHook?: string | undefined;
	readonly postHook?: string | undefined;
	readonly preferredChallenges?: readonly string[] | undefined;
	readonly allowSubset?: boolean | undefined;
}

export function readParameters(configuration: ConfigObject): Partial<RenewalParameters> {
	const text = (key: string): string | undefined => configuration.text(section, key);
	const keyType = text('key_type');
	const size = Number(text('rsa_key_size'));
	return {
		...(text('server') !== undefined && {server: text('server') as string}),
		account: text('account'),
		authenticator: readAuthenticator(configuration),
		...(keyType === 'rsa' && {
			keyType: {type: 'rsa', ...((size === 3072 || size === 4096) && {size})} as const,
		}),
		...(keyType === 'ecdsa' && {
			keyType: {type: 'ecdsa', ...(text('elliptic_curve') === 'secp384r1' && {curve: 'secp384r1'})} as const,
		}),
		reuseKey: text('reuse_key') === 'True',
		preferredChain: text('preferred_chain'),
		profile: text('required_profile') ?? text('preferred_profile') ?? configuration.text(own, 'profile'),
		deployHook: text('renew_hook'),
		preHook: text('pre_hook'),
		postHook: text('post_hook'),
		preferredChallenges: readList(configuration, own, 'preferred_challenges'),
		...(text('allow_subset_of_names') === 'True' && {allowSubset: true}),
	};
}

export function writeParameters(configuration: ConfigObject, parameters: RenewalParameters): void {
	const set = (key: string, value: ConfigValue | undefined): void => configuration.set(section, key, value);
	const {server, account, keyType, reuseKey, preferredChain, profile, deployHook, authenticator} = parameters;
	set('account', account);
	set('server', server);
	set('key_type', keyType?.type ?? 'ecdsa');
	if (keyType?.type === 'rsa') set('rsa_key_size', String(keyType.size ?? 2048));
	if (keyType?.type === 'ecdsa' && keyType.curve !== undefined) set('elliptic_curve', keyType.curve);
	set('reuse_key', reuseKey === true ? 'True' : undefined);
	set('preferred_chain', preferredChain);
	set('renew_hook', deployHook);
	set('pre_hook', parameters.preHook);
	set('post_hook', parameters.postHook);
	set('allow_subset_of_names', parameters.allowSubset === true ? 'True' : undefined);
	// Not among certbot's: versions before 5 would drop it at a renewal.
	configuration.set(own, 'profile', profile);
	// certbot would not read a lineage with challenges that it does not know.
	configuration.set(own, 'preferred_challenges', parameters.preferredChallenges);
	if (authenticator !== undefined) writeAuthenticator(configuration, authenticator);
}

/** The key of the certificate with this serial number is not to be used again. */
export function giveKeyUp(configuration: ConfigObject, serialNumber: string): void {
	configuration.set(own, 'key_given_up', serialNumber);
}

export function isKeyGivenUp(configuration: ConfigObject, serialNumber: string): boolean {
	return configuration.text(own, 'key_given_up') === serialNumber;
}

/** The certificate with this serial number was revoked. */
export function noteRevoked(configuration: ConfigObject, serialNumber: string): void {
	configuration.set(own, 'revoked', serialNumber);
}

export function isKnownRevoked(configuration: ConfigObject, serialNumber: string): boolean {
	return configuration.text(own, 'revoked') === serialNumber;
}

/** Whether certbot can renew it: it has no word for some authenticators. */
export function isForCertbot(configuration: ConfigObject): boolean {
	return configuration.text(own, 'authenticator') === undefined;
}

function readList(
	configuration: ConfigObject,
	where: readonly string[],
	key: string,
): readonly string[] | undefined {
	const value = configuration.value(where, key);
	return value === undefined ? undefined : [value].flat();
}

function readAuthenticator(configuration: ConfigObject): AuthenticatorSettings | undefined {
	const text = (key: string): string | undefined => configuration.text(section, key);
	const name = configuration.text(own, 'authenticator');
	if (name !== undefined)
		return {...JSON.parse(configuration.text(own, 'authenticator_options') ?? '{}'), name};
	switch (text('authenticator')) {
		case 'standalone': {
			const port = Number(text('http01_port'));
			return {name: 'http-01', ...(port > 0 && {port}), address: text('http01_address') || undefined};
		}
		case 'webroot': {
			const map = ['renewalparams', 'webroot_map'];
			const paths = Object.fromEntries(
				configuration.keys(map).map(domain => [domain, configuration.text(map, domain) ?? '']),
			);
			const [first] = Object.values(paths);
			const path = first ?? readList(configuration, section, 'webroot_path')?.[0];
			if (path === undefined) return undefined;
			const areSame = Object.values(paths).every(one => one === path);
			return {name: 'webroot', path, ...(!areSame && {paths})};
		}
		case 'manual': {
			const auth = text('manual_auth_hook');
			if (auth === undefined) return {name: 'manual'};
			const challenges = readList(configuration, section, 'pref_challs') ?? [];
			return {
				name: 'dns-command',
				auth,
				cleanup: text('manual_cleanup_hook'),
				...(challenges.length > 0 && {challenges}),
			};
		}
		case 'dns-rfc2136': {
			const credentials = text('dns_rfc2136_credentials');
			// certbot's own default.
			const seconds = Number(text('dns_rfc2136_propagation_seconds') ?? 60);
			return credentials === undefined
				? undefined
				: {name: 'dns-update', credentials, propagation: (seconds || 0) * 1000};
		}
		default:
			return undefined;
	}
}

function writeAuthenticator(configuration: ConfigObject, settings: AuthenticatorSettings): void {
	const set = (key: string, value: ConfigValue | undefined): void => configuration.set(section, key, value);
	const {name, ...options} = settings as {name: string; [option: string]: unknown};
	configuration.set(own, 'authenticator', undefined);
	configuration.set(own, 'authenticator_options', undefined);
	switch (name) {
		case 'http-01':
			set('authenticator', 'standalone');
			if (options.port !== undefined) set('http01_port', String(options.port));
			if (options.address !== undefined) set('http01_address', String(options.address));
			break;
		case 'webroot':
			set('authenticator', 'webroot');
			set('webroot_path', [String(options.path)]);
			for (const [domain, path] of Object.entries((options.paths ?? {}) as Record<string, string>))
				configuration.set([...section, 'webroot_map'], domain, path);
			break;
		case 'dns-command':
			set('authenticator', 'manual');
			set('pref_challs', (options.challenges as string[] | undefined) ?? ['dns-01']);
			set('manual_auth_hook', String(options.auth));
			if (options.cleanup !== undefined) set('manual_cleanup_hook', String(options.cleanup));
			break;
		case 'dns-update':
			// Without the key: see keepCredentials.
			set('authenticator', 'dns-rfc2136');
			set('dns_rfc2136_credentials', String(options.credentials));
			set(
				'dns_rfc2136_propagation_seconds',
				String(Math.ceil(((options.propagation as number | undefined) ?? 0) / 1000)),
			);
			break;
		case 'manual':
			set('authenticator', 'manual');
			break;
		default:
			// certbot names what it does not know, and goes on with the others.
			set('authenticator', name);
			configuration.set(own, 'authenticator', name);
			// Options of a user's own may be secrets, and anybody may read this file: they stay in the configuration.
			if (withoutSecrets.includes(name)) {
				configuration.set(own, 'authenticator_options', JSON.stringify(options));
			}
	}
}
