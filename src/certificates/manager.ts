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
import {CertbotFolder, checkLineageName} from '../lineages/certbot/folder.ts';
import {findForeign, readForeign} from '../lineages/certbot/foreign-folders.ts';
import {domainsOf, Lineage, versionFiles} from '../lineages/certbot/lineage.ts';
import {withLock} from '../lineages/certbot/lock.ts';
import {recovering} from '../lineages/certbot/recovery.ts';
import {parseCertificates} from '../x509/certificates.ts';
import {parsePrivateKey} from '../x509/private-keys.ts';
import {AccountKeeper, type RegisterOptions} from './accounts.ts';
import {keepCredentials, removeCredentials} from './dns-credentials.ts';
import {writeState} from './due.ts';
import {HookRun} from './hook-run.ts';
import {type ObtainOptions, Ordering} from './ordering.ts';
import {type ManagerParts, serverOf} from './parts.ts';
import {
	giveKeyUp,
	noteRevoked,
	type RenewalParameters,
	readParameters,
	writeParameters,
} from './renewal-parameters.ts';
import {type Look, type RenewalResult, Renewing, type RenewOptions} from './renewing.ts';
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

/** A certificate that another program obtained, and that is a lineage now. */
export interface AdoptedCertificate {
	/** The program whose folder it was. */
	readonly program: string;
	/** The file of its certificate there. */
	readonly from: string;
	readonly lineage: LineageStatus;
}

const knownEnhancements: readonly string[] = ['redirect', 'hsts', 'stapling', 'headers'];

/** Milliseconds between two looks of `autoRenew`, however soon something is due. */
const shortestPause = 1000;
/** Milliseconds until the folder is looked at again that another program is changing. */
const pauseWhereLocked = 60_000;

/** Obtains, renews, deploys and revokes the certificates of one folder. */
export class CertificateManager {
	readonly #parts: ManagerParts;
	readonly #folder: CertbotFolder;
	readonly #accounts: AccountKeeper;
	readonly #ordering: Ordering;
	readonly #renewing: Renewing;
	readonly #checkpoints: Checkpoints;
	readonly #turns = new FolderTurns(work => this.#locked(work));
	/** Installers change files of others: one after the other. */
	readonly #deploying = new Turns();
	/** Names of lineages that are being made. */
	readonly #taken = new Set<string>();
	readonly #naming = new Turns();

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
			lineage = await Lineage.create(this.#folder, name, versionFiles(obtained, key), {});
			const parameters = this.#parameters(options, account.stored.id);
			writeParameters(lineage.configuration, {
				...parameters,
				authenticator: await keepCredentials(this.#folder, name, parameters.authenticator),
			});
			await lineage.save();
			await this.#ordering.finish(name);
			if (this.#parts.settings.installer !== undefined) await this.#deploy(lineage);
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
		const found = await findForeign(folder);
		if (found.length === 0) {
			throw new GatepassError({
				code: 'certificate-missing',
				what: `There is no certificate with its key in ${folder}, laid out as ACME clients do`,
				hint: 'Name the folder of lego, dehydrated, uacme, acme-tiny, acmetool or mod_md, or a PKCS#12 file',
			});
		}
		return this.#changing(async () => {
			const adopted: AdoptedCertificate[] = [];
			for (const one of found) {
				const files = await readForeign(one);
				if (await this.#isKept(files.privkey, files.cert)) continue;
				const name = await Lineage.freeName(this.#folder, checkLineageName(one.name));
				const lineage = await Lineage.create(this.#folder, name, files, {});
				const parameters = this.#parameters(options, undefined);
				writeParameters(lineage.configuration, {
					...parameters,
					authenticator: await keepCredentials(this.#folder, name, parameters.authenticator),
				});
				await lineage.save();
				adopted.push({program: one.program, from: one.certificate, lineage: await statusOf(lineage)});
			}
			return adopted;
		});
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
		await this.#changing(async () => {
			const lineage = await Lineage.open(this.#folder, name);
			const {certificate, files} = await lineage.read();
			const {server, account} = readParameters(lineage.configuration);
			const signer = byKey
				? createPrivateKey(files.privkey)
				: (await this.#accounts.find(account, {server})).account;
			const connection = this.#parts.connect(serverOf(this.#parts, server));
			await revokeCertificate(connection, certificate, {signer, ...rest});
			noteRevoked(lineage.configuration, certificate.serialNumber);
			// Nobody takes it any more: renewed at the next look, unless it is given up.
			if (rest.reason !== 'cessationOfOperation' && rest.reason !== 'affiliationChanged') {
				writeState(lineage.configuration, {
					attempts: 0,
					serialNumber: certificate.serialNumber,
					renewAt: Date.now(),
					askAgainAt: Date.now() + 43_200_000,
				});
			}
			if (rest.reason === 'keyCompromise') giveKeyUp(lineage.configuration, certificate.serialNumber);
			await lineage.save();
		});
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
		const [leaf] = parseCertificates(Buffer.from(certificate), 'the certificate');
		if (leaf === undefined) {
			throw new GatepassError({
				code: 'certificate-missing',
				what: 'There is no certificate in what is to be revoked',
				hint: 'Name a file with one, in PEM or DER',
			});
		}
		const key = privateKey === undefined ? undefined : parsePrivateKey(Buffer.from(privateKey), 'the key');
		if (key !== undefined && !leaf.checkPrivateKey(key)) {
			throw new GatepassError({
				code: 'key-does-not-match',
				what: 'The key is not that of the certificate which is to be revoked',
				hint: 'Name its own key, or none: then the account has it revoked',
			});
		}
		await this.#changing(async () => {
			const signer = key ?? (await this.#accounts.find(undefined, {server})).account;
			const connection = this.#parts.connect(serverOf(this.#parts, server));
			await revokeCertificate(connection, leaf, {signer, ...rest});
		});
	}

	/** Put a certificate into what the configuration, or the caller, names. */
	async deploy(name: string, installer?: InstallerSettings): Promise<void> {
		await this.#changing(async () => this.#deploy(await Lineage.open(this.#folder, name), installer));
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
		const unknown = Object.keys(enhancements).find(name => !knownEnhancements.includes(name));
		if (unknown !== undefined) {
			throw new GatepassError({
				code: 'setting-unknown',
				what: `There is no enhancement '${unknown}'`,
				hint: `There are ${knownEnhancements.join(', ')}`,
			});
		}
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
	 * @param options `interval`: milliseconds between looks at most: what is due before is seen to when it is. Default: an hour.
	 */
	autoRenew({interval = 3_600_000}: {readonly interval?: number} = {}): {stop(): void} {
		const ended = new AbortController();
		const {signal} = ended;
		let timer: NodeJS.Timeout | undefined;
		const look = async (): Promise<void> => {
			let due: number | undefined;
			try {
				const {result, next} = await this.#look({signal});
				due = next;
				for (const {name, error} of result.failed) {
					this.#parts.report?.({kind: 'failed', name, detail: error.message});
				}
			} catch (error) {
				// Another program is at it, or the folder cannot be read: the next look may go better.
				if (isLocked(error)) due = Date.now() + pauseWhereLocked;
				if (!signal.aborted) this.#parts.report?.({kind: 'failed', detail: (error as Error).message});
			}
			// A retry in a minute is due in a minute.
			const pause = Math.min(
				interval,
				Math.max((due ?? Number.POSITIVE_INFINITY) - Date.now(), shortestPause),
			);
			if (!signal.aborted) timer = setTimeout(() => void look(), pause).unref();
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

	async #deploy(lineage: Lineage, installer?: InstallerSettings): Promise<void> {
		await this.#deploying.take(true, async () => this.#installer(installer).deploy(await deployed(lineage)));
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

	/** Whether a lineage has this certificate in use already, such as from an import before. */
	async #isKept(key: string, certificate: string): Promise<boolean> {
		for (const name of await this.#folder.names()) {
			const lineage = await Lineage.open(this.#folder, name).catch(() => undefined);
			const read = await lineage?.read().catch(() => undefined);
			if (read?.files.privkey === key && read.files.cert === certificate) return true;
		}
		return false;
	}

	#parameters(options: ObtainOptions, account: string | undefined): RenewalParameters {
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
			preHook: options.preHook,
			postHook: options.postHook,
			preferredChallenges: options.preferredChallenges,
			allowSubset: options.allowSubset,
		};
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

function isLocked(error: unknown): boolean {
	return error instanceof GatepassError && error.diagnostics.some(({code}) => code === 'lineage-locked');
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

async function deployed(lineage: Lineage): Promise<DeployedLineage> {
	return {name: lineage.name, domains: domainsOf(await lineage.certificate()), paths: lineage.paths};
}
