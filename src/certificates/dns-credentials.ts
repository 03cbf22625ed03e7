/**
 * The key for updates of a DNS zone. It is a secret, and the settings of a lineage may be read by anybody: so it stands
 * in a file of its own, in the form that certbot's dns-rfc2136 reads, and the settings name the file.
 */
import {rm} from 'node:fs/promises';
import {join} from 'node:path';
import type {AuthenticatorSettings, DnsUpdateSettings} from '../config/certificate-settings.ts';
import {GatepassError} from '../errors.ts';
import {replaceFile} from '../files/durable.ts';
import type {DnsUpdateSettings as Resolved} from '../issuers/acme/authenticators/dns-update.ts';
import {type SignatureAlgorithm, signatureAlgorithms} from '../issuers/acme/dns/tsig.ts';
import {ConfigObject} from '../lineages/certbot/config-object.ts';
import type {CertbotFolder} from '../lineages/certbot/folder.ts';
import {readBounded} from '../x509/files.ts';

const prefix = 'dns_rfc2136_';

/** The settings with their key, which may stand in a file. @throws {GatepassError} where something is missing. */
export async function resolveDnsUpdate(settings: DnsUpdateSettings): Promise<Resolved> {
	const {credentials, ttl, propagation, timeout} = settings as DnsUpdateSettings & {timeout?: number};
	const {server, port, keyName, secret, algorithm} = {
		...(credentials === undefined ? {} : await readCredentials(credentials)),
		...withoutUndefined(settings),
	};
	const missing = Object.entries({server, keyName, secret}).find(([, value]) => value === undefined)?.[0];
	if (server === undefined || keyName === undefined || secret === undefined) {
		throw new GatepassError({
			code: 'setting-missing',
			what: `The authenticator dns-update has no '${missing}'${credentials === undefined ? '' : `, neither of its own nor in ${credentials}`}`,
			hint: "Name the server, 'keyName' and 'secret', or a file with them under 'credentials'",
		});
	}
	return {
		server,
		port,
		key: {name: keyName, secret, algorithm: algorithm ?? 'hmac-sha256'},
		ttl,
		propagation,
		timeout,
	};
}

/** The same settings without a secret in them: what the settings of a lineage may hold. */
export async function keepCredentials(
	folder: CertbotFolder,
	lineage: string,
	settings: AuthenticatorSettings | undefined,
): Promise<AuthenticatorSettings | undefined> {
	const {name, secret, ...rest} = (settings ?? {}) as DnsUpdateSettings;
	if (name !== 'dns-update' || secret === undefined) return settings;
	const {server, port, key, ...found} = await resolveDnsUpdate({name, secret, ...rest});
	const file = credentialsFile(folder, lineage);
	const text = new ConfigObject('', file);
	text.set([], `${prefix}server`, server);
	text.set([], `${prefix}port`, String(port ?? 53));
	text.set([], `${prefix}name`, key.name);
	text.set([], `${prefix}secret`, key.secret);
	text.set([], `${prefix}algorithm`, key.algorithm.toUpperCase());
	await replaceFile(file, text.toString(), 0o600);
	const {ttl, propagation} = found;
	return withoutUndefined({name, credentials: file, ttl, propagation});
}

export async function removeCredentials(folder: CertbotFolder, lineage: string): Promise<void> {
	await rm(credentialsFile(folder, lineage), {force: true});
}

function credentialsFile(folder: CertbotFolder, lineage: string): string {
	return join(folder.path, 'gatepass/credentials', `${lineage}.ini`);
}

async function readCredentials(file: string): Promise<Partial<DnsUpdateSettings>> {
	let content: string;
	try {
		content = (await readBounded(file)).toString('utf8');
	} catch (error) {
		throw new GatepassError(
			{
				code: 'named-file-unreadable',
				what: `${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'too large'})`,
				hint: "It holds the key for updates of the DNS zone, as certbot's dns-rfc2136 reads it",
			},
			{cause: error},
		);
	}
	const configuration = new ConfigObject(content, file);
	const text = (key: string): string | undefined => configuration.text([], prefix + key);
	// certbot's default, which name servers of today no longer take.
	const algorithm = (text('algorithm') ?? 'hmac-md5').toLowerCase();
	if (!isAlgorithm(algorithm)) {
		throw new GatepassError({
			code: 'setting-malformed',
			what: `${file}: there is no algorithm '${algorithm}'`,
			hint: `There are ${signatureAlgorithms.map(one => one.toUpperCase()).join(', ')}`,
		});
	}
	return withoutUndefined({
		server: text('server'),
		port: text('port') === undefined ? undefined : Number(text('port')),
		keyName: text('name'),
		secret: text('secret'),
		algorithm,
	});
}

function isAlgorithm(text: string): text is SignatureAlgorithm {
	return (signatureAlgorithms as readonly string[]).includes(text);
}

function withoutUndefined<Value extends object>(value: Value): Value {
	return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as Value;
}
