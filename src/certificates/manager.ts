/**
 * Certificates that renew themselves: what certbot's `certbot.client` does, and its command around it, over ACME and in
 * certbot's own layout. Each change is made alone in the folder, after what a killed process left half done.
 */
import {join} from 'node:path';
import type {InstallerSettings} from '../config/certificate-settings.ts';
import {GatepassError} from '../errors.ts';
import {type Checkpoint, Checkpoints} from '../installers/checkpoints.ts';
import type {Enhancements} from '../installers/installer.ts';
import {
	generateCertificateKey,
	identifierOf,
	readCertificateRequest,
	validateKeyCsr,
} from '../issuers/acme/certificate-request.ts';
import type {RevocationReason} from '../issuers/issuer.ts';
import {CertbotFolder} from '../lineages/certbot/folder.ts';
import {domainsOf, Lineage, versionFiles} from '../lineages/certbot/lineage.ts';
import {withLock} from '../lineages/certbot/lock.ts';
import {recovering} from '../lineages/certbot/recovery.ts';
import {AccountKeeper, type RegisterOptions} from './accounts.ts';
import {type AdoptedCertificate, adoptAll, findAdoptable} from './adopting.ts';
import {renewAgainAndAgain} from './auto-renew.ts';
import {checkEnhancements, Deploying} from './deploying.ts';
import {removeCredentials} from './dns-credentials.ts';
import {HookRun} from './hook-run.ts';
import {newLineage} from './new-lineage.ts';
import {type ObtainOptions, Ordering} from './ordering.ts';
import {type ManagerParts, serverOf} from './parts.ts';
import {type Look, type RenewalResult, Renewing, type RenewOptions} from './renewing.ts';
import {Revoking, readRevocable} from './revoking.ts';
import {type LineageStatus, statusesIn, statusOf} from './status.ts';
import {leaseFolder} from './store-lease.ts';
import {FolderTurns, Turns} from './turns.ts';

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
	readonly #turns = new FolderTurns(work => this.#locked(work));
	readonly #deploying: Deploying;
	readonly #revoking: Revoking;
	/** Names of lineages that are being made. */
	readonly #taken = new Set<string>();
	readonly #naming = new Turns();

	constructor(parts: ManagerParts) {
		const {folder} = parts.settings;
		this.#parts = parts;
		this.#folder = new CertbotFolder(folder);
		this.#accounts = new AccountKeeper(parts, this.#folder);
		this.#ordering = new Ordering(parts, this.#folder, this.#accounts);
		this.#checkpoints = new Checkpoints(join(folder, 'gatepass/checkpoints'));
		this.#deploying = new Deploying(parts, this.#folder, this.#checkpoints);
		this.#revoking = new Revoking(parts, this.#accounts);
		this.#renewing = new Renewing(parts, this.#folder, this.#ordering, lineage =>
			this.#deploying.deploy(lineage),
		);
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

	/** The profiles that the server offers: what it says of each, by name. */
	async profiles(server?: string): Promise<Readonly<Record<string, string>>> {
		const {meta} = await this.#parts.connect(serverOf(this.#parts, server)).directory();
		return {...meta.profiles};
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
		this.#prepare(options.server);
		return this.#turns.alongside(async lost => {
			const derived = first.value.replace(/^\*\./, '').replaceAll(':', '-');
			const free = await this.#takeName(name, derived);
			try {
				return await this.#enroll(free, identifiers, unless(lost, options));
			} finally {
				this.#taken.delete(free);
			}
		});
	}

	/** The name of a new lineage, which is nobody else's from here on. Looked at before anything is ordered: an order counts. */
	#takeName(name: string | undefined, derived: string): Promise<string> {
		return this.#naming.take(true, async () => {
			const free = name ?? (await Lineage.freeName(this.#folder, derived, this.#taken));
			if (this.#taken.has(free)) throw beingMade(free);
			await Lineage.checkFree(this.#folder, free);
			this.#taken.add(free);
			return free;
		});
	}

	async #enroll(
		name: string,
		identifiers: Parameters<Ordering['obtain']>[1],
		options: ObtainOptions,
	): Promise<LineageStatus | undefined> {
		const hooks = new HookRun(this.#parts, false, options.signal);
		await hooks.before(options);
		let lineage: Lineage | undefined;
		try {
			const {key, obtained, account} = await this.#ordering.forLineage(name, identifiers, undefined, options);
			if (options.dryRun === true) return undefined;
			lineage = await newLineage(this.#parts, this.#folder, name, {
				files: versionFiles(obtained, key),
				options,
				account: account.stored.id,
			});
			await this.#ordering.finish(name);
			if (this.#parts.settings.installer !== undefined) await this.#deploying.deploy(lineage);
			await hooks.deployed(this.#folder.live(name), domainsOf(await lineage.certificate()), options);
		} catch (error) {
			hooks.failed(identifiers.map(({value}) => value));
			throw error;
		} finally {
			await hooks.after();
		}
		const status = await statusOf(lineage);
		return {...status, warnings: [...status.warnings, ...hooks.warnings]};
	}

	/**
	 * Adopt what lego, dehydrated, uacme, acme-tiny, acmetool or mod_md keep in a folder: each as a lineage, which is renewed
	 * from then on as the configuration says. Their files stay as they are.
	 *
	 * @throws {GatepassError} where there is nothing of the kind.
	 */
	async adopt(folder: string, options: ObtainOptions = {}): Promise<readonly AdoptedCertificate[]> {
		const found = await findAdoptable(folder);
		return this.#changing(() => adoptAll(this.#parts, this.#folder, found, options));
	}

	/** Renew what is due. A failure of one keeps no other from being renewed. */
	async renew(options: RenewOptions = {}): Promise<RenewalResult> {
		return (await this.#look(options)).result;
	}

	/**
	 * Have a certificate revoked, by the account that ordered it or, with `byKey`, by its own key. It is renewed at the next
	 * look, unless the reason is that it is given up; a key that was compromised is not used again.
	 */
	async revoke(
		name: string,
		settings: {
			readonly reason?: RevocationReason;
			readonly byKey?: boolean;
			readonly signal?: AbortSignal;
		} = {},
	): Promise<void> {
		const {byKey = false, ...rest} = settings;
		await this.#changing(async () =>
			this.#revoking.revokeLineage(await Lineage.open(this.#folder, name), byKey, rest),
		);
	}

	/**
	 * Have a certificate (PEM or DER) revoked that is in no lineage, by the account or by its own key (PEM).
	 *
	 * @throws {GatepassError} where the key is not the certificate's.
	 */
	async revokeCertificate(
		certificate: string | Uint8Array,
		settings: {
			readonly privateKey?: string | Uint8Array;
			readonly reason?: RevocationReason;
			readonly server?: string;
			readonly signal?: AbortSignal;
		} = {},
	): Promise<void> {
		const {privateKey, server, ...rest} = settings;
		const {leaf, key} = readRevocable(certificate, privateKey);
		await this.#changing(() => this.#revoking.revokeOther(leaf, key, server, rest));
	}

	/** Put a certificate into what the configuration, or the caller, names. */
	async deploy(name: string, installer?: InstallerSettings): Promise<void> {
		await this.#changing(async () =>
			this.#deploying.deploy(await Lineage.open(this.#folder, name), installer),
		);
	}

	/**
	 * Have the web server redirect, announce https and so on, where it shows these names. What is there already is no error.
	 *
	 * @throws {GatepassError} for an enhancement that there is not, or that the installer has not.
	 */
	async enhance(
		domains: readonly string[],
		enhancements: Enhancements,
		installer?: InstallerSettings,
	): Promise<void> {
		checkEnhancements(enhancements);
		await this.#changing(() => this.#deploying.enhance(domains, enhancements, installer));
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
	 * @param options `interval`: milliseconds between looks at most: what is due before is seen to when it is. Default: an hour.
	 */
	autoRenew({interval = 3_600_000}: {readonly interval?: number} = {}): {stop(): void} {
		return renewAgainAndAgain(signal => this.#look({signal}), interval, this.#parts.report);
	}

	async #obtain(
		identifiers: Parameters<Ordering['obtain']>[1],
		key: Parameters<Ordering['obtain']>[2],
		options: ObtainOptions,
	): Promise<IssuedCertificate> {
		this.#prepare(options.server);
		const {account} = await this.#turns.alongside(() =>
			this.#accounts.find(undefined, {server: options.server}),
		);
		const {certificate, chain, fullchain} = await this.#ordering.obtain(account, identifiers, key, options);
		return {certificate, chain, fullchain};
	}

	/** Speak with the server while the folder is made ready. @throws {GatepassError} where it is of no use. */
	#prepare(server: string | undefined): void {
		void this.#parts.connect(this.#ordering.check(server)).prepare();
	}

	#look(options: RenewOptions): Promise<Look> {
		return this.#changing(lost => this.#renewing.renew(unless(lost, options)));
	}

	/** Alone: also what this manager is told meanwhile waits. */
	#changing<Result>(work: (lost: AbortSignal) => Promise<Result>): Promise<Result> {
		return this.#turns.alone(work);
	}

	async #locked(work: (lost: AbortSignal) => Promise<void>): Promise<void> {
		const {lease} = this.#parts;
		const {path} = this.#folder;
		await this.#folder.prepare();
		const told = (detail: string): void => this.#parts.report?.({kind: 'recovered', detail});
		await withLock(
			path,
			async lost =>
				recovering(this.#folder, told, async () => {
					for (const title of await this.#checkpoints.recover()) {
						told(`took back '${title}', which was not brought to its end`);
					}
					await this.#accounts.settle();
					await work(lost);
				}),
			{lease: lease && ((rhythm, reason) => leaseFolder(path, lease, rhythm, reason))},
		);
	}
}

/** The caller's signal, and that of a lock which is lost, in one. */
function unless<Options extends {readonly signal?: AbortSignal}>(
	lost: AbortSignal,
	options: Options,
): Options {
	return {...options, signal: options.signal === undefined ? lost : AbortSignal.any([options.signal, lost])};
}

function beingMade(name: string): GatepassError {
	return new GatepassError({
		code: 'lineage-exists',
		what: `A certificate '${name}' is being obtained already`,
		hint: 'Choose another name, or wait for that one',
	});
}
