/** Orders certificates as the configuration and the caller say, so that an interrupted order can go on. */
import {type KeyObject, X509Certificate} from 'node:crypto';
import type {AuthenticatorSettings, CertificateSettings} from '../config/certificate-settings.ts';
import {AcmeError} from '../errors.ts';
import type {Account} from '../issuers/acme/account.ts';
import type {Authenticator} from '../issuers/acme/authenticators/authenticator.ts';
import {generateCertificateKey} from '../issuers/acme/certificate-request.ts';
import {type ObtainedCertificate, obtainCertificate, type Progress} from '../issuers/acme/obtain.ts';
import type {Identifier} from '../issuers/acme/order.ts';
import type {CertbotFolder} from '../lineages/certbot/folder.ts';
import type {AccountKeeper, FoundAccount} from './accounts.ts';
import {type ManagerParts, serverOf} from './parts.ts';
import {PendingOrders} from './pending.ts';
import {Turns} from './turns.ts';
import {checkForClients, refusePublicAuthority} from './usable.ts';

/** What a caller says about one certificate, over what the configuration says about all. */
export interface ObtainOptions
	extends Partial<
		Pick<
			CertificateSettings,
			'server' | 'authenticator' | 'keyType' | 'reuseKey' | 'preferredChain' | 'profile'
		>
	> {
	/** The kinds of challenges to use, the first choice first. */
	readonly preferredChallenges?: readonly string[];
	/** Names that cannot be proven are left out. */
	readonly allowSubset?: boolean;
	/** Try it all, and keep nothing. */
	readonly dryRun?: boolean;
	/** Run once the certificate is there, and after each renewal: `RENEWED_LINEAGE` and `RENEWED_DOMAINS` say of what. */
	readonly deployHook?: string;
	/** Run before it is ordered, now and at renewals; and afterwards, whatever came of it. */
	readonly preHook?: string;
	readonly postHook?: string;
	/** Until when it is to last, in milliseconds since 1970, where the authority lets one say so. Not for renewals. */
	readonly notAfter?: number;
	readonly onProgress?: (progress: Progress) => void;
	readonly signal?: AbortSignal;
}

/** What a certificate is to succeed. */
export interface Predecessor {
	/** The account's name on disk. */
	readonly account: string | undefined;
	/** Its identifier (RFC 9773). */
	readonly replaces: string | undefined;
	/** Its key, where that is used again. */
	readonly key: KeyObject | undefined;
}

export interface Ordered {
	readonly key: KeyObject;
	readonly obtained: ObtainedCertificate;
	readonly account: FoundAccount;
}

export class Ordering {
	readonly #parts: ManagerParts;
	readonly #accounts: AccountKeeper;
	readonly #pending: PendingOrders;
	/** Those in use, by their settings. */
	readonly #shared = new Map<string, {readonly authenticator: Authenticator; users: number}>();
	/** Challenges that are answered by people and commands, one order at a time. */
	readonly #turns = new Turns();

	constructor(parts: ManagerParts, folder: CertbotFolder, accounts: AccountKeeper) {
		this.#parts = parts;
		this.#accounts = accounts;
		this.#pending = new PendingOrders(folder);
	}

	/** Nothing is pending for a lineage any more. */
	async finish(name: string): Promise<void> {
		await this.#pending.remove(name);
	}

	/** The server, once it is known that it can issue what is wanted: before it hears of us. */
	check(named: string | undefined): string {
		const server = serverOf(this.#parts, named);
		if (this.#parts.settings.identityOnly) refusePublicAuthority(server);
		return server;
	}

	/** Order for a lineage: its key, and then the order, are on disk before the server is asked to issue. */
	async forLineage(
		name: string,
		identifiers: readonly Identifier[],
		predecessor: Predecessor | undefined,
		options: ObtainOptions,
	): Promise<Ordered> {
		const server = this.check(options.server);
		const account = await this.#accounts.find(predecessor?.account, {server});
		const isKept = options.dryRun !== true;
		const begun = isKept ? await this.#pending.find(name, server, identifiers) : undefined;
		const kind = options.keyType ?? this.#parts.settings.keyType;
		const attempt = async (key: KeyObject, resume: string | undefined): Promise<Ordered> => {
			const keep = async (orderUrl?: string): Promise<void> => {
				if (!isKept) return;
				await this.#pending.save(name, {key, server, identifiers, ...(orderUrl !== undefined && {orderUrl})});
			};
			await keep(resume);
			const more = {replaces: predecessor?.replaces, resume, onOrder: keep};
			return {key, account, obtained: await this.obtain(account.account, identifiers, key, options, more)};
		};
		try {
			return await attempt(predecessor?.key ?? begun?.key ?? generateCertificateKey(kind), begun?.orderUrl);
		} catch (error) {
			const mayChange = kind.type === 'ecdsa' && predecessor?.key === undefined;
			if (!mayChange || !isAboutKeyType(error)) throw error;
			options.onProgress?.({
				domain: identifiers[0]?.value ?? name,
				state: 'pending',
				detail: 'the authority takes no ECDSA key; trying RSA',
			});
			return attempt(generateCertificateKey({type: 'rsa', size: 2048}), undefined);
		}
	}

	/** Orders that say the same at the same time share what answers their challenges, such as a port; others wait. */
	async #with<Result>(
		settings: AuthenticatorSettings | undefined,
		work: (authenticators: readonly Authenticator[]) => Promise<Result>,
	): Promise<Result> {
		if (settings === undefined) return work([]);
		const made = this.#parts.makeAuthenticator(settings);
		if (made.isShareable !== true) return this.#turns.take(true, () => work([made]));
		const key = JSON.stringify(settings);
		const shared = this.#shared.get(key) ?? {authenticator: made, users: 0};
		this.#shared.set(key, shared);
		shared.users += 1;
		try {
			return await work([shared.authenticator]);
		} finally {
			shared.users -= 1;
			if (shared.users === 0) this.#shared.delete(key);
		}
	}

	/** Order with a key, or with a request that somebody else made. */
	async obtain(
		account: Account,
		identifiers: readonly Identifier[],
		key: KeyObject | {readonly request: Uint8Array},
		options: ObtainOptions,
		more: {
			replaces?: string | undefined;
			resume?: string | undefined;
			onOrder?: (orderUrl: string) => Promise<void>;
		} = {},
	): Promise<ObtainedCertificate> {
		const {settings, connect} = this.#parts;
		const server = this.check(options.server);
		const connection = connect(server);
		const chosen = options.authenticator ?? settings.authenticator;
		// A lineage remembers only the name of a user's own, for its options may be secrets.
		const authenticator =
			chosen !== undefined && Object.keys(chosen).length === 1 && settings.authenticator?.name === chosen.name
				? settings.authenticator
				: chosen;
		const obtained = await this.#with(authenticator, authenticators =>
			obtainCertificate(connection, account, {
				identifiers,
				key,
				authenticators,
				preferredChallenges: options.preferredChallenges,
				preferredChain: options.preferredChain ?? settings.preferredChain,
				profile: options.profile ?? settings.profile,
				allowSubset: options.allowSubset,
				replaces: more.replaces,
				notAfter: options.notAfter,
				resume: more.resume,
				onProgress: options.onProgress,
				onOrder: ({url}) => more.onOrder?.(url),
				signal: options.signal,
			}),
		);
		if (settings.identityOnly) {
			const [leaf, ...chain] = certificatesIn(obtained.fullchain);
			if (leaf !== undefined) checkForClients(leaf, chain, connection.place);
		}
		return obtained;
	}
}

/** FreeIPA and others say in words of their own that a profile takes RSA only. */
function isAboutKeyType(error: unknown): boolean {
	if (!(error instanceof AcmeError)) return false;
	return error.type === 'badPublicKey' || (error.type === 'badCSR' && /key|RSA|EC/i.test(error.message));
}

function certificatesIn(text: string): X509Certificate[] {
	const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
	return blocks.map(block => new X509Certificate(block));
}
