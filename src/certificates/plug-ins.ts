/** The authenticators and installers by name: the built-in ones, and those that a user registers. */

import type {
	AuthenticatorSettings,
	DnsUpdateSettings,
	InstallerSettings,
} from '../config/certificate-settings.ts';
import {GatepassError} from '../errors.ts';
import {apacheInstaller} from '../installers/apache.ts';
import type {Checkpoints} from '../installers/checkpoints.ts';
import {FilesInstaller, type FilesSettings} from '../installers/files.ts';
import type {Installer} from '../installers/installer.ts';
import {nginxInstaller} from '../installers/nginx.ts';
import type {WebServerSettings} from '../installers/web-server.ts';
import type {Authenticator} from '../issuers/acme/authenticators/authenticator.ts';
import {CommandAuthenticator, type CommandSettings} from '../issuers/acme/authenticators/dns-command.ts';
import {DnsUpdateAuthenticator} from '../issuers/acme/authenticators/dns-update.ts';
import {StandaloneAuthenticator, WebrootAuthenticator} from '../issuers/acme/authenticators/http-01.ts';
import {TlsAlpnAuthenticator} from '../issuers/acme/authenticators/tls-alpn-01.ts';
import {resolveDnsUpdate} from './dns-credentials.ts';
import type {AuthenticatorFactory, InstallerFactory} from './factories.ts';

type Factories<Made> = Readonly<Record<string, (options: never) => Made>>;

const authenticators: Factories<Authenticator> = {
	'http-01': (options: {address?: string; port?: number}) => new StandaloneAuthenticator(options),
	webroot: ({path, paths}: {path: string; paths?: Readonly<Record<string, string>>}) =>
		new WebrootAuthenticator(path, paths),
	'tls-alpn-01': (options: {address?: string; port?: number}) => new TlsAlpnAuthenticator(options),
	'dns-command': (options: CommandSettings) => new CommandAuthenticator(options),
	'dns-update': (options: DnsUpdateSettings) =>
		new DnsUpdateAuthenticator(() => resolveDnsUpdate({...options, name: 'dns-update'})),
	// The record is there, and stays.
	'dns-persist-01': () => ({
		name: 'dns-persist-01',
		challenges: ['dns-persist-01'],
		isShareable: true,
		perform: async () => async () => {},
	}),
};

const installers: Readonly<Record<string, (options: never, checkpoints: Checkpoints) => Installer>> = {
	// A rule that names the lineage reads it where it is: there is nothing to copy.
	identity: () => ({name: 'identity', deploy: async () => {}}),
	files: (options: FilesSettings, checkpoints) => new FilesInstaller(options, checkpoints),
	nginx: (options: WebServerSettings, checkpoints) => nginxInstaller(options, checkpoints),
	apache: (options: WebServerSettings, checkpoints) => apacheInstaller(options, checkpoints),
};

export function makeAuthenticator(
	settings: AuthenticatorSettings,
	registered: readonly AuthenticatorFactory[] = [],
): Authenticator {
	return make('authenticator', settings, authenticators, registered, undefined);
}

export function makeInstaller(
	settings: InstallerSettings,
	checkpoints: Checkpoints,
	registered: readonly InstallerFactory[] = [],
): Installer {
	return make('installer', settings, installers, registered, checkpoints);
}

function make<Made, Context>(
	kind: string,
	{name, ...options}: {readonly name: string},
	builtIn: Readonly<Record<string, (options: never, context: Context) => Made>>,
	registered: readonly {readonly name: string; create(options: Readonly<Record<string, unknown>>): Made}[],
	context: Context,
): Made {
	const own = registered.find(factory => factory.name === name);
	if (own !== undefined) return own.create(options);
	const factory = Object.hasOwn(builtIn, name) ? builtIn[name] : undefined;
	if (factory === undefined) {
		const known = [...Object.keys(builtIn), ...registered.map(one => one.name)].sort();
		throw new GatepassError({
			code: 'plug-in-unknown',
			what: `There is no ${kind} '${name}'`,
			hint: `There are ${known.join(', ')}; register your own in the container`,
		});
	}
	return factory(options as never, context);
}
