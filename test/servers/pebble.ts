/** Debian's pebble, an ACME server for tests, with pebble-challtestsrv for its DNS; both as private processes. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {connect} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import got from 'got';
import {createTestAuthority} from '../../src/testing/authority.ts';
import {findProgram, type RealServer} from './availability.ts';
import {freePorts} from './free-port.ts';
import {stopProcess, untilSaid} from './process.ts';

export const pebble: RealServer = {
	name: 'pebble',
	install: 'apt-get install pebble',
	whyUnavailable() {
		const missing = ['pebble', 'pebble-challtestsrv'].find(name => findProgram(name) === undefined);
		return missing === undefined ? undefined : `there is no program ${missing}`;
	},
};

/** That of Debian's next release: with renewal information, profiles and dns-persist-01. */
export const nextPebble: RealServer = {
	name: 'pebble 2.10',
	install: 'scripts/install-servers.sh',
	isOptional: true,
	whyUnavailable: () =>
		findProgram('pebble-next') === undefined ? 'there is no program pebble-next' : undefined,
};

/** Two profiles, of which one is short-lived: 518,400 seconds. */
export const twoProfiles = {
	profiles: {
		default: {description: 'The usual one', validityPeriod: 7_776_000},
		shortlived: {description: 'For six days', validityPeriod: 518_400},
	},
};

export interface PebbleSettings {
	/** Percent of the nonces that it refuses on purpose. Default: 5, its own. */
	readonly nonceReject?: number;
	/** Whether it takes accounts only with the binding {@link boundAccount}. */
	readonly demandsBinding?: boolean;
	/** Percent of the authorizations that it gives again without a challenge. Default: 0. */
	readonly authorizationReuse?: number;
	/** How many roots it has besides its first: it offers a chain to each. Default: 0. */
	readonly alternateRoots?: number;
	/** Takes every challenge for answered. */
	readonly alwaysValid?: boolean;
	/** The port of the name server to ask on 127.0.0.1. Default: that of its own pebble-challtestsrv. */
	readonly dnsPort?: number | undefined;
	/** The program; default: Debian's. */
	readonly program?: 'pebble' | 'pebble-next';
	/** Further settings of its file. */
	readonly more?: Readonly<Record<string, unknown>>;
}

/** An account that the authority knows otherwise. */
export const boundAccount = {
	kid: 'kid-1',
	hmacKey: 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W',
};

export interface Pebble {
	readonly directoryUrl: string;
	/** PEM file of the CA that vouches for the server itself, not for what it issues. */
	readonly ca: string;
	/** Where it looks for http-01 and tls-alpn-01. Every name leads to 127.0.0.1. */
	readonly httpPort: number;
	readonly tlsPort: number;
	/** What the management interface says of a certificate, by its serial number in hexadecimal digits. */
	statusOf(serialNumber: string): Promise<string>;
	/** The CA certificate (PEM) of one of its roots. */
	root(index: number): Promise<string>;
	/** Have it answer so when it is asked when to renew a certificate (PEM). pebble-next only. */
	setRenewalInformation(certificate: string, window: {start: Date; end: Date}): Promise<void>;
	/** Change what the DNS says: `set-txt`, `clear-txt`, `add-a` and so on of pebble-challtestsrv. */
	dns(action: string, what: object): Promise<void>;
	/** The shell command that does the same: for hooks. */
	readonly dnsCommand: (action: string, what: string) => string;
	log(): string;
	close(): Promise<void>;
}

export async function startPebble(settings: PebbleSettings = {}): Promise<Pebble> {
	for (let attempt = 1; ; attempt++) {
		try {
			return await start(settings);
		} catch (error) {
			if (!/address already in use/i.test(String(error)) || attempt === 5) throw error;
		}
	}
}

async function untilListening(port: number, server: ChildProcess): Promise<void> {
	for (;;) {
		const socket = connect(port, '127.0.0.1');
		const isOpen = await Promise.race([
			once(socket, 'connect').then(() => true),
			once(socket, 'error').then(() => false),
		]).catch(() => false);
		socket.destroy();
		if (isOpen) return;
		if (server.exitCode !== null) throw new Error('pebble ended before it listened');
		await pause(10);
	}
}

async function start({
	nonceReject = 5,
	demandsBinding = false,
	authorizationReuse = 0,
	alwaysValid = false,
	alternateRoots = 0,
	dnsPort,
	program = 'pebble',
	more = {},
}: PebbleSettings): Promise<Pebble> {
	const authority = await createTestAuthority('CA of the ACME server');
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-pebble-'));
	const started: ChildProcess[] = [];
	const close = async (): Promise<void> => {
		await Promise.all(started.map(server => stopProcess(server, 'SIGTERM')));
		await rm(folder, {recursive: true, force: true});
		await authority.close();
	};
	try {
		const [acme = 0, management = 0, httpPort = 0, tlsPort = 0, dns = 0, records = 0] = await freePorts(6);
		const {certificate, key} = await authority.issue('pebble', {
			subject: 'CN=localhost',
			hosts: ['localhost', '127.0.0.1'],
		});
		const configuration = join(folder, 'pebble.json');
		await writeFile(
			configuration,
			JSON.stringify({
				pebble: {
					listenAddress: `127.0.0.1:${acme}`,
					managementListenAddress: `127.0.0.1:${management}`,
					certificate,
					privateKey: key,
					httpPort,
					tlsPort,
					ocspResponderURL: '',
					...more,
					externalAccountBindingRequired: demandsBinding,
					...(demandsBinding && {externalAccountMACKeys: {[boundAccount.kid]: boundAccount.hmacKey}}),
				},
			}),
		);
		const resolver = spawn(findProgram('pebble-challtestsrv') as string, [
			...['-management', `127.0.0.1:${records}`, '-dns01', `127.0.0.1:${dns}`],
			...['-http01', '', '-https01', '', '-tlsalpn01', '', '-defaultIPv6', ''],
		]);
		started.push(resolver);
		resolver.stderr.resume();
		await untilSaid(resolver, resolver.stdout, 'Starting management server');
		const server = spawn(
			findProgram(program) as string,
			['-config', configuration, '-dnsserver', `127.0.0.1:${dnsPort ?? dns}`],
			{
				env: {
					...process.env,
					PEBBLE_VA_NOSLEEP: '1',
					PEBBLE_WFE_NONCEREJECT: String(nonceReject),
					PEBBLE_AUTHZREUSE: String(authorizationReuse),
					PEBBLE_ALTERNATE_ROOTS: String(alternateRoots),
					...(alwaysValid && {PEBBLE_VA_ALWAYS_VALID: '1'}),
				},
			},
		);
		started.push(server);
		let said = '';
		const listen = (chunk: Buffer): void => {
			said += chunk;
		};
		server.stderr.on('data', listen);
		server.stdout.on('data', listen);
		await untilSaid(server, server.stdout, 'ACME directory available at');
		// It says so just before it listens.
		await untilListening(acme, server);
		await untilListening(management, server);
		const ca = authority.ca;
		const managementOrigin = `https://127.0.0.1:${management}`;
		return {
			directoryUrl: `https://localhost:${acme}/dir`,
			ca,
			httpPort,
			tlsPort,
			async statusOf(serialNumber) {
				const path = `cert-status-by-serial/${serialNumber.toLowerCase().replace(/^0+/, '')}`;
				const https = {certificateAuthority: await readFile(ca, 'utf8')};
				return (await got(`${managementOrigin}/${path}`, {https}).json<{Status: string}>()).Status;
			},
			async root(index) {
				const https = {certificateAuthority: await readFile(ca, 'utf8')};
				return got(`${managementOrigin}/roots/${index}`, {https}).text();
			},
			async setRenewalInformation(certificate, window) {
				const https = {certificateAuthority: await readFile(ca, 'utf8')};
				const ariResponse = JSON.stringify({suggestedWindow: window});
				await got.post(`${managementOrigin}/set-renewal-info/`, {https, json: {certificate, ariResponse}});
			},
			async dns(action, what) {
				const answer = await fetch(`http://127.0.0.1:${records}/${action}`, {
					method: 'POST',
					body: JSON.stringify(what),
				});
				if (!answer.ok) throw new Error(`pebble-challtestsrv answered ${answer.status} to ${action}`);
			},
			dnsCommand: (action, what) =>
				`curl -sf -X POST -d "${what.replaceAll('"', '\\"')}" http://127.0.0.1:${records}/${action}`,
			log: () => said,
			close,
		};
	} catch (error) {
		await close();
		throw error;
	}
}
