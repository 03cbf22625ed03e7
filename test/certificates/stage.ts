/** A certificate manager with a folder of its own, at a real ACME server. */
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {onTestFinished} from 'vitest';
import {CertificateManager} from '../../src/certificates/manager.ts';
import type {CertificateEvent, ManagerParts} from '../../src/certificates/parts.ts';
import {makeAuthenticator, makeInstaller} from '../../src/certificates/plug-ins.ts';
import {type CertificateSettings, defaultSettings} from '../../src/config/certificate-settings.ts';
import {connectTo} from '../issuers/acme/stage.ts';
import type {Pebble} from '../servers/pebble.ts';

export async function temporaryFolder(): Promise<string> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-certificates-'));
	onTestFinished(async () => {
		for (const one of [folder, `${folder}-work`, `${folder}-logs`])
			await rm(one, {recursive: true, force: true});
	});
	return folder;
}

type MutableParts = {-readonly [Key in keyof ManagerParts]: ManagerParts[Key]};

export interface Stage {
	/** What the manager is made of; a test may change it. */
	readonly parts: MutableParts;
	readonly manager: CertificateManager;
	readonly folder: string;
	readonly events: CertificateEvent[];
}

export async function managerAt(server: Pebble, settings: Partial<CertificateSettings> = {}): Promise<Stage> {
	const folder = settings.folder ?? (await temporaryFolder());
	const events: CertificateEvent[] = [];
	const parts: MutableParts = {
		settings: {
			...defaultSettings,
			folder,
			server: server.directoryUrl,
			email: 'tests@example.org',
			termsOfServiceAgreed: true,
			authenticator: {name: 'http-01', address: '127.0.0.1', port: server.httpPort},
			...settings,
		},
		connect: directoryUrl => connectTo({directoryUrl, ca: server.ca}),
		makeAuthenticator,
		makeInstaller,
		report: event => events.push(event),
	};
	const manager = new CertificateManager(parts);
	return {parts, manager, folder, events};
}
