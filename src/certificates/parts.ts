/** What the parts of a certificate manager share: settings, servers, plug-ins, and whom to tell. */

import type {
	AuthenticatorSettings,
	CertificateSettings,
	InstallerSettings,
} from '../config/certificate-settings.ts';
import {GatepassError} from '../errors.ts';
import type {Checkpoints} from '../installers/checkpoints.ts';
import type {Installer} from '../installers/installer.ts';
import type {Authenticator} from '../issuers/acme/authenticators/authenticator.ts';
import type {AcmeConnection} from '../issuers/acme/connection.ts';
import type {TakeLease} from './store-lease.ts';

/** What happened to a certificate. Holds no secret. */
export interface CertificateEvent {
	readonly kind: 'renewed' | 'failed' | 'hook-failed' | 'recovered' | 'expiring';
	/** The lineage. */
	readonly name?: string;
	readonly detail: string;
	/** When it ends, in milliseconds since 1970. */
	readonly notAfter?: number;
}

/** What a manager is made of. */
export interface ManagerParts {
	readonly settings: CertificateSettings;
	/** A connection to the server with this directory. */
	readonly connect: (server: string) => AcmeConnection;
	readonly makeAuthenticator: (settings: AuthenticatorSettings) => Authenticator;
	readonly makeInstaller: (settings: InstallerSettings, checkpoints: Checkpoints) => Installer;
	/** Asks a store that other machines may share for a lock; absent: there is none. */
	readonly lease?: TakeLease | undefined;
	/** Told of what goes on without anybody waiting for it. */
	readonly report?: (event: CertificateEvent) => void;
}

/** The server that is meant. @throws {GatepassError} where none is. */
export function serverOf({settings}: ManagerParts, server: string | undefined): string {
	const found = server ?? settings.server;
	if (found !== undefined && URL.canParse(found)) return found;
	throw new GatepassError(
		found === undefined
			? {
					code: 'acme-server-missing',
					what: 'There is no ACME server',
					hint: "Name its directory under 'certificates.server', or with --server",
				}
			: {
					code: 'acme-server-missing',
					what: 'The address of the ACME server is no URL',
					hint: 'Give one such as https://ca.example.org/acme/directory',
				},
	);
}
