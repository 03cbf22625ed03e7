/**
 * Certificates that renew themselves: what certbot's `certbot.client` does, and its command around it, over ACME and in
 * certbot's own layout. Each change is made alone in the folder, after what a killed process left half done.
 */
import {createPrivateKey} from 'node:crypto';
import {join} from 'node:path';
import type {InstallerSettings} from '../config/certificate-settings.ts';
import {GatepassError} from '../errors.ts';
import {type Checkpoint, Checkpoints} from '../installers/checkpoints.ts';
import type {DeployedLineage, Enhancements} from '../installers/installer.ts';
import {
	generateCertificateKey,
	identifierOf,
	readCertificateRequest,
	validateKeyCsr,
} from '../issuers/acme/certificate-request.ts';
import {revokeCertificate} from '../issuers/acme/revoke.ts';
import type {RevocationReason} from '../issuers/issuer.ts';
import {CertbotFolder} from '../lineages/certbot/folder.ts';
import {domainsOf, Lineage, versionFiles} from '../lineages/certbot/lineage.ts';
import {withLock} from '../lineages/certbot/lock.ts';
import {AccountKeeper, type RegisterOptions} from './accounts.ts';
import {keepCredentials, removeCredentials} from './dns-credentials.ts';
import {type ObtainOptions, Ordering} from './ordering.ts';
import {type ManagerParts, serverOf} from './parts.ts';
import {type RenewalParameters, readParameters, writeParameters} from './renewal-parameters.ts';
import {type RenewalResult, Renewing, type RenewOptions} from './renewing.ts';
import {type LineageStatus, statusesIn, statusOf} from './status.ts';

/** A certificate that stands on its own. PEM, each; the key is a secret. */
export interface IssuedCertificate {
	readonly certificate: string;
	/** The CA certificates above it. */
	readonly chain: string;
	readonly fullchain: string;
	/** PKCS#8; absent where the request came from elsewhere. */
	readonly privateKey?: string;
}

/** Obtains, renews, deploys and revokes the certificates of one folder. */
export class CertificateManager {
	readonly #parts: ManagerParts;
	readonly #folder: CertbotFolder;
	readonly #accounts: AccountKeeper;
	readonly #ordering: Ordering;
	readonly #renewing: Renewing;
	readonly #checkpoints: Checkpoints;

	constructor(parts: ManagerParts) {
		const {folder} = parts.settings;
		this.#parts = parts;
		this.#folder = new CertbotFolder(folder);
		this.#accounts = new AccountKeeper(parts, this.#folder);
		this.#ordering = new Ordering(parts, this.#folder, this.#accounts);
		this.#renewing = new Renewing(parts, this.#folder, this.#ordering, lineage => this.#deploy(lineage));
		this.#checkpoints = new Checkpoints(join(folder, 'gatepass/checkpoints'));
	}

	/**
	 * Register an account at the server, or find the one that is there. It is kept once the server has accepted it.
	 *
	 * @throws {AcmeError} where the terms are not agreed to, or the server refuses.
	 */
	async register(options: RegisterOptions = {}): Promise<{readonly url: string; readonly id: string}> {
		const {url, id} = (await this.#changing(() => this.#accounts.find(undefined, options))).stored;
		return {url, id};
	}

	/** Obtain a certificate for these names or addresses, and keep nothing of it here. */
	async obtain(domains: readonly string[], options: ObtainOptions = {}): Promise<IssuedCertificate> {
		const key = generateCertificateKey(options.keyType ?? this.#parts.settings.keyType);
		const issued = await this.#obtain(domains.map(identifierOf), key, options);
		return {...issued, privateKey: key.export({type: 'pkcs8', format: 'pem'}) as string};
	}

	/** Obtain a certificate for a request (PEM or DER) that was made elsewhere. */
	async obtainFromCsr(csr: string | Uint8Array, options: ObtainOptions = {}): Promise<IssuedCertificate> {
		const {request, identifiers} = await readCertificateRequest(csr);
		return this.#obtain(identifiers, {request}, options);
	}

	/**
	 * Obtain a certificate and keep it as a lineage, which renews itself.
	 *
	 * @param name default: the first of the names; with a number where that is taken.
	 * @returns `undefined` for a dry run.
	 */
	async enroll(
		domains: readonly string[],
		name?: string,
		options: ObtainOptions = {},
	): Promise<LineageStatus | undefined> {
		const identifiers = domains.map(identifierOf);
		const [first] = identifiers;
		if (first === undefined) {
			throw new GatepassError({
				code: 'name-malformed',
				what: 'A certificate needs a name',
				hint: 'Give one, such as www.example.org',
			});
		}
		return this.#changing(async () => {
			const derived = first.value.replace(/^\*\./, '').replaceAll(':', '-');
			const free = name ?? (await Lineage.freeName(this.#folder, derived));
			// Looked at before anything is ordered: an order counts.
			await Lineage.checkFree(this.#folder, free);
			const {key, obtained, account} = await this.#ordering.forLineage(free, identifiers, undefined, options);
			if (options.dryRun === true) return undefined;
			const lineage = await Lineage.create(this.#folder, free, versionFiles(obtained, key), {});
			const parameters = this.#parameters(options, account.stored.id);
			writeParameters(lineage.configuration, {
				...parameters,
				authenticator: await keepCredentials(this.#folder, free, parameters.authenticator),
			});
			await lineage.save();
			await this.#ordering.finish(free);
			if (this.#parts.settings.installer !== undefined) await this.#deploy(lineage);
			return statusOf(lineage);
		});
	}

	/** Renew what is due. A failure of one keeps no other from being renewed. */
	async renew(options: RenewOptions = {}): Promise<RenewalResult> {
		return this.#changing(() => this.#renewing.renew(options));
	}

	/** Have a certificate revoked, by the account that ordered it or, with `byKey`, by its own key. */
	async revoke(
		name: string,
		settings: {
			readonly reason?: RevocationReason;
			readonly byKey?: boolean;
			readonly signal?: AbortSignal;
		} = {},
	): Promise<void> {
		const {byKey = false, ...rest} = settings;
		await this.#changing(async () => {
			const lineage = await Lineage.open(this.#folder, name);
			const {certificate, files} = await lineage.read();
			const {server, account} = readParameters(lineage.configuration);
			const signer = byKey
				? createPrivateKey(files.privkey)
				: (await this.#accounts.find(account, {server})).account;
			const connection = this.#parts.connect(serverOf(this.#parts, server));
			await revokeCertificate(connection, certificate, {signer, ...rest});
		});
	}

	/** Put a certificate into what the configuration, or the caller, names. */
	async deploy(name: string, installer?: InstallerSettings): Promise<void> {
		await this.#changing(async () => this.#deploy(await Lineage.open(this.#folder, name), installer));
	}

	/** Have the web server redirect, announce https and so on, where it shows these names. */
	async enhance(
		domains: readonly string[],
		enhancements: Enhancements,
		installer?: InstallerSettings,
	): Promise<void> {
		await this.#changing(async () => {
			const made = this.#installer(installer);
			if (made.enhance === undefined) {
				throw new GatepassError({
					code: 'installer-cannot-enhance',
					what: `The installer '${made.name}' has nothing to enhance`,
					hint: 'Configure the installer of a web server',
				});
			}
			await made.enhance(await deployed(await this.#lineageFor(domains)), enhancements);
		});
	}

	/** Take the last changes of installers back, the newest first. Gives those that were. */
	async rollback(count = 1): Promise<readonly Checkpoint[]> {
		return this.#changing(() => this.#checkpoints.rollback(count));
	}

	/** The changes that installers made, the newest first. */
	async history(): Promise<readonly Checkpoint[]> {
		return this.#checkpoints.history();
	}

	/** How each lineage stands. Asks no server. */
	async list(): Promise<LineageStatus[]> {
		return statusesIn(this.#folder);
	}

	/** Remove a lineage with its keys. It is not revoked. */
	async delete(name: string): Promise<void> {
		await this.#changing(async () => {
			await (await Lineage.open(this.#folder, name)).delete();
			await removeCredentials(this.#folder, name);
			await this.#ordering.finish(name);
		});
	}

	/**
	 * Whether a key, and a request if there is one, can be used.
	 *
	 * @throws {GatepassError} where the key is not valid, the request is not, or they do not match.
	 */
	async validateKeyCsr(key: string | Uint8Array, csr?: string | Uint8Array): Promise<void> {
		await validateKeyCsr(key, csr);
	}

	/** Change the account's mail address; `undefined`: none from then on. */
	async updateAccount(email: string | undefined, server?: string): Promise<void> {
		await this.#changing(() => this.#accounts.update(email, server));
	}

	/** Give the account a new key. The old one is kept until the server has taken a request with the new one. */
	async rolloverAccount(server?: string): Promise<{readonly id: string}> {
		const {id} = await this.#changing(() => this.#accounts.rollOver(server));
		return {id};
	}

	/** End the account. Nothing is renewed with it any more. */
	async deactivateAccount(server?: string): Promise<void> {
		await this.#changing(() => this.#accounts.deactivate(server));
	}

	/**
	 * Renew what is due, again and again, inside of this process. It keeps no process alive that has nothing else to do.
	 *
	 * @param options `interval`: milliseconds between looks. Default: an hour.
	 */
	autoRenew({interval = 3_600_000}: {readonly interval?: number} = {}): {stop(): void} {
		const ended = new AbortController();
		const {signal} = ended;
		let timer: NodeJS.Timeout | undefined;
		const look = async (): Promise<void> => {
			try {
				const {failed} = await this.renew({signal});
				for (const {name, error} of failed) {
					this.#parts.report?.({kind: 'failed', name, detail: error.message});
				}
			} catch (error) {
				// Another program is at it, or the folder cannot be read: the next look may go better.
				if (!signal.aborted) this.#parts.report?.({kind: 'failed', detail: (error as Error).message});
			}
			if (!signal.aborted) timer = setTimeout(() => void look(), interval).unref();
		};
		void look();
		return {
			stop() {
				ended.abort();
				clearTimeout(timer);
			},
		};
	}

	async #obtain(
		identifiers: Parameters<Ordering['obtain']>[1],
		key: Parameters<Ordering['obtain']>[2],
		options: ObtainOptions,
	): Promise<IssuedCertificate> {
		const {account} = await this.#changing(() => this.#accounts.find(undefined, {server: options.server}));
		const {certificate, chain, fullchain} = await this.#ordering.obtain(account, identifiers, key, options);
		return {certificate, chain, fullchain};
	}

	async #deploy(lineage: Lineage, installer?: InstallerSettings): Promise<void> {
		await this.#installer(installer).deploy(await deployed(lineage));
	}

	#installer(settings = this.#parts.settings.installer) {
		if (settings !== undefined) return this.#parts.makeInstaller(settings, this.#checkpoints);
		throw new GatepassError({
			code: 'installer-missing',
			what: 'There is no installer',
			hint: "Name one under 'certificates' in the configuration",
		});
	}

	async #lineageFor(domains: readonly string[]): Promise<Lineage> {
		for (const name of await this.#folder.names()) {
			const lineage = await Lineage.open(this.#folder, name);
			const covered = domainsOf(await lineage.certificate());
			if (domains.every(domain => covered.includes(domain))) return lineage;
		}
		throw new GatepassError({
			code: 'lineage-not-found',
			what: `No certificate here is for ${domains.join(', ')}`,
			hint: 'Obtain one first',
		});
	}

	#parameters(options: ObtainOptions, account: string): RenewalParameters {
		const {settings} = this.#parts;
		return {
			server: serverOf(this.#parts, options.server),
			account,
			authenticator: options.authenticator ?? settings.authenticator,
			keyType: options.keyType ?? settings.keyType,
			reuseKey: options.reuseKey ?? settings.reuseKey,
			preferredChain: options.preferredChain ?? settings.preferredChain,
			profile: options.profile ?? settings.profile,
			deployHook: options.deployHook,
		};
	}

	async #changing<Result>(work: () => Promise<Result>): Promise<Result> {
		await this.#folder.prepare();
		return withLock(this.#folder.path, async () => {
			for (const title of await this.#checkpoints.recover()) {
				const detail = `took back '${title}', which was not brought to its end`;
				this.#parts.report?.({kind: 'recovered', detail});
			}
			return work();
		});
	}
}

async function deployed(lineage: Lineage): Promise<DeployedLineage> {
	return {name: lineage.name, domains: domainsOf(await lineage.certificate()), paths: lineage.paths};
}
