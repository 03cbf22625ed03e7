/** The options that the ACME commands share, by certbot's names, and the certificates that they are about. */
import process from 'node:process';
import {type Command, InvalidArgumentError, Option} from 'commander';
import type {AuthenticatorFactory} from '../certificates/factories.ts';
import type {Certificates} from '../certificates/lazy.ts';
import type {ObtainOptions} from '../certificates/ordering.ts';
import type {
	AuthenticatorSettings,
	CertificateKeyType,
	CertificateSettings,
	ExternalAccountBinding,
} from '../config/certificate-settings.ts';
import {ConfigurationError} from '../errors.ts';
import {resolvePath} from '../strategy/paths.ts';
import {UsageError} from './failure.ts';
import {manualFactory} from './manual-authenticator.ts';
import type {GlobalOptions} from './settings.ts';

export interface AcmeOptions extends GlobalOptions {
	readonly server?: string;
	readonly configDir?: string;
	readonly email?: string;
	readonly agreeTos?: boolean;
	readonly eabKid?: string;
	readonly eabHmacKey?: string;
	readonly eabHmacAlg?: 'HS256' | 'HS384' | 'HS512';
	readonly standalone?: boolean;
	readonly webroot?: boolean;
	readonly webrootPath?: string;
	readonly manual?: boolean;
	readonly manualAuthHook?: string;
	readonly manualCleanupHook?: string;
	readonly tlsAlpn?: boolean;
	readonly dnsRfc2136?: boolean;
	readonly dnsRfc2136Credentials?: string;
	readonly dnsRfc2136PropagationSeconds?: number;
	readonly http01Port?: number;
	readonly http01Address?: string;
	readonly tlsAlpn01Port?: number;
	readonly preferredChallenges?: string;
	readonly keyType?: 'ecdsa' | 'rsa';
	readonly rsaKeySize?: string;
	readonly ellipticCurve?: string;
	readonly reuseKey?: boolean;
	readonly preferredChain?: string;
	readonly profile?: string;
	readonly dryRun?: boolean;
	readonly deployHook?: string;
	readonly preHook?: string;
	readonly postHook?: string;
}

/** Where certificates are kept, and the server. */
export function addServerOptions(command: Command): Command {
	return command
		.option('--server <url>', 'the directory of the ACME server')
		.option('--config-dir <folder>', "where certificates are kept, in certbot's layout");
}

export function addAccountOptions(command: Command): Command {
	return addServerOptions(command)
		.option('-m, --email <address>', 'where the authority sends its mail')
		.option('--agree-tos', "agree to the server's terms of service")
		.option('--eab-kid <id>', 'the key identifier of an external account binding')
		.option('--eab-hmac-key <key>', 'its key, in base64')
		.addOption(
			new Option('--eab-hmac-alg <algorithm>', 'its algorithm').choices(['HS256', 'HS384', 'HS512']),
		);
}

export function addOrderOptions(command: Command): Command {
	return addAccountOptions(command)
		.option('--standalone', 'answer http-01 by a server of our own')
		.option('--webroot', 'answer http-01 by files in the folder of a web server')
		.option('-w, --webroot-path <folder>', 'that folder')
		.option('--manual', 'answer challenges by hand, or by hooks')
		.option('--manual-auth-hook <command>', 'puts the answer in place')
		.option('--manual-cleanup-hook <command>', 'takes it away again')
		.option('--dns-rfc2136', 'answer dns-01 by updates of the zone (RFC 2136)')
		.option('--dns-rfc2136-credentials <file>', "the name server and its key, in the form of certbot's")
		.addOption(
			// certbot's name is too long for a line of help.
			new Option('--dns-rfc2136-propagation-seconds <seconds>', 'until all name servers have a record')
				.argParser(parseSeconds)
				.hideHelp(),
		)
		.option('--tls-alpn', 'answer tls-alpn-01 by a server of our own')
		.option('--http-01-port <port>', 'where to listen for http-01 (default: 80)', parsePort)
		.option('--http-01-address <address>', 'the address to listen on (default: all)')
		.option('--tls-alpn-01-port <port>', 'where to listen for tls-alpn-01 (default: 443)', parsePort)
		.option('--preferred-challenges <list>', 'such as dns-01,http-01')
		.addOption(new Option('--key-type <type>', 'the kind of key (default: ecdsa)').choices(['ecdsa', 'rsa']))
		.addOption(new Option('--rsa-key-size <bits>', 'of an RSA key').choices(['2048', '3072', '4096']))
		.addOption(new Option('--elliptic-curve <curve>', 'of an ECDSA key').choices(['secp256r1', 'secp384r1']))
		.option('--reuse-key', 'keep the key over renewals')
		.option('--preferred-chain <issuer>', 'the name of an issuer that is to be in the chain')
		.option('--profile <name>', 'one of the profiles that the server offers')
		.option('--dry-run', 'try it all, and keep nothing');
}

function parsePort(text: string): number {
	const port = Number(text);
	if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
	throw new InvalidArgumentError('It is no port. Give a number from 1 to 65535.');
}

function parseSeconds(text: string): number {
	const seconds = Number(text);
	if (Number.isInteger(seconds) && seconds >= 0 && seconds <= 86_400) return seconds;
	throw new InvalidArgumentError('It is no number of seconds. Give one from 0 to 86400.');
}

/** What the options say of one certificate. */
export function obtainOptions(options: AcmeOptions): ObtainOptions {
	const {keyType, preferredChallenges, reuseKey, preferredChain, profile, dryRun} = options;
	const {deployHook, preHook, postHook} = options;
	const authenticator = authenticatorOf(options);
	return {
		...(keyType !== undefined && {keyType: keyTypeOf(options)}),
		...(authenticator !== undefined && {authenticator}),
		...(preferredChallenges !== undefined && {preferredChallenges: challengesIn(preferredChallenges)}),
		...(reuseKey !== undefined && {reuseKey}),
		...(preferredChain !== undefined && {preferredChain}),
		...(profile !== undefined && {profile}),
		...(dryRun !== undefined && {dryRun}),
		...(deployHook !== undefined && {deployHook}),
		...(preHook !== undefined && {preHook}),
		...(postHook !== undefined && {postHook}),
	};
}

/** certbot takes `dns` and `http` for the challenges, too. */
function challengesIn(list: string): string[] {
	return list.split(',').map(one => {
		const name = one.trim();
		return /^(?:dns|http|tls-alpn)$/.test(name) ? `${name}-01` : name;
	});
}

function keyTypeOf({keyType, rsaKeySize, ellipticCurve}: AcmeOptions): CertificateKeyType {
	if (keyType === 'rsa') return {type: 'rsa', size: Number(rsaKeySize ?? 2048) as 2048 | 3072 | 4096};
	return {type: 'ecdsa', curve: (ellipticCurve ?? 'secp256r1') as 'secp256r1' | 'secp384r1'};
}

function authenticatorOf(options: AcmeOptions): AuthenticatorSettings | undefined {
	const {standalone, webroot, webrootPath, manual, manualAuthHook, manualCleanupHook, tlsAlpn} = options;
	const ways = [
		standalone,
		webroot ?? webrootPath !== undefined,
		manual ?? manualAuthHook !== undefined,
		tlsAlpn,
		options.dnsRfc2136 ?? options.dnsRfc2136Credentials !== undefined,
	];
	if (ways.filter(way => way === true).length > 1) {
		throw new UsageError(
			'Only one of --standalone, --webroot, --manual, --dns-rfc2136 and --tls-alpn can answer challenges',
		);
	}
	if (standalone === true || (ways.every(way => way !== true) && options.http01Port !== undefined)) {
		return {name: 'http-01', address: options.http01Address, port: options.http01Port};
	}
	if (ways[1] === true) {
		if (webrootPath === undefined) throw new UsageError('--webroot needs the folder: -w FOLDER');
		return {name: 'webroot', path: resolvePath(webrootPath, process.cwd(), process.env)};
	}
	if (manualAuthHook !== undefined) {
		const preferred = options.preferredChallenges;
		return {
			name: 'dns-command',
			auth: manualAuthHook,
			cleanup: manualCleanupHook,
			...(preferred !== undefined && {challenges: challengesIn(preferred)}),
		};
	}
	if (ways[4] === true) {
		const {dnsRfc2136Credentials, dnsRfc2136PropagationSeconds} = options;
		if (dnsRfc2136Credentials === undefined)
			throw new UsageError('--dns-rfc2136 needs the name server and its key: --dns-rfc2136-credentials FILE');
		return {
			name: 'dns-update',
			credentials: resolvePath(dnsRfc2136Credentials, process.cwd(), process.env),
			...(dnsRfc2136PropagationSeconds !== undefined && {
				propagation: dnsRfc2136PropagationSeconds * 1000,
			}),
		};
	}
	if (manual === true) return {name: 'manual'};
	return tlsAlpn === true
		? {name: 'tls-alpn-01', address: options.http01Address, port: options.tlsAlpn01Port}
		: undefined;
}

function bindingOf({eabKid, eabHmacKey, eabHmacAlg}: AcmeOptions): ExternalAccountBinding | undefined {
	if ((eabKid === undefined) !== (eabHmacKey === undefined)) {
		throw new UsageError('--eab-kid and --eab-hmac-key belong together');
	}
	return eabKid === undefined || eabHmacKey === undefined
		? undefined
		: {kid: eabKid, hmacKey: eabHmacKey, algorithm: eabHmacAlg};
}

/** Do `work` with the certificates of the configuration, where there is one, as the options change it. */
export async function withCertificates<Result>(
	options: AcmeOptions,
	work: (certificates: Certificates, settings: CertificateSettings) => Promise<Result>,
): Promise<Result> {
	const [
		{loadConfiguration},
		{builtInStrategies, compose},
		{AuthenticatorFactory: token},
		{container: root},
	] = await Promise.all([
		import('../config/load.ts'),
		import('../container.ts'),
		import('../certificates/factories.ts'),
		// Does not start without the polyfill that the container brings along.
		import('../container.ts').then(() => import('tsyringe')),
	]);
	const request = {cwd: process.cwd(), env: process.env, strategies: [], builtIn: builtInStrategies};
	const loaded = await loadConfiguration({...request, config: options.config}).catch(error => {
		// These commands can do without one.
		if (options.config !== undefined || !isMissing(error)) throw error;
		return loadConfiguration({...request, config: {cache: {url: 'memory:'}}});
	});
	const binding = bindingOf(options);
	const authenticator = authenticatorOf(options);
	const {server, configDir, email, agreeTos} = options;
	const certificates: CertificateSettings = {
		...loaded.configuration.certificates,
		...(server !== undefined && {server}),
		...(configDir !== undefined && {folder: resolvePath(configDir, process.cwd(), process.env)}),
		...(email !== undefined && {email}),
		...(agreeTos === true && {termsOfServiceAgreed: true}),
		...(binding !== undefined && {externalAccountBinding: binding}),
		...(authenticator !== undefined && {authenticator}),
	};
	const parent = root.createChildContainer();
	parent.register<AuthenticatorFactory>(token, {useValue: manualFactory(options.json)});
	const configuration = {...loaded.configuration, certificates};
	const composition = await compose({...loaded, configuration}, {parent});
	try {
		return await work(composition.certificates, certificates);
	} finally {
		await composition.close();
		await parent.dispose();
	}
}

/** Whether there is no configuration at all, which these commands can do without. */
export function isMissing(error: unknown): boolean {
	return error instanceof ConfigurationError && error.diagnostics[0]?.code === 'configuration-not-found';
}
