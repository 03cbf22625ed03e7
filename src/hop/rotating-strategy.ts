/**
 * The strategy of a rule with secrets from files (`${file:…}`): made again once a file holds another secret, so that a
 * rotated one takes effect without a restart.
 */
import {TokenCacheError} from '../errors.ts';
import {KeptFile} from '../files/kept-file.ts';
import type {RotatingOptions} from '../host-rules/host-rule.ts';
import type {AuthRequest, AuthStrategy, Conversation, CredentialAtHand} from '../strategy/index.ts';

/** So many former instances are asked to forget what they know. */
const mostFormer = 10;
/** Milliseconds for which a look at the files holds for a credential that was issued, as it does for identities. */
const longestUnlooked = 1000;

export class RotatingStrategy implements AuthStrategy {
	readonly requiresResponseBody: boolean;
	declare readonly status?: NonNullable<AuthStrategy['status']>;
	declare readonly examine?: NonNullable<AuthStrategy['examine']>;
	declare readonly forget?: NonNullable<AuthStrategy['forget']>;
	declare readonly explain?: NonNullable<AuthStrategy['explain']>;
	declare readonly atHand?: NonNullable<AuthStrategy['atHand']>;

	readonly #rotating: RotatingOptions;
	readonly #build: (options: unknown) => AuthStrategy;
	readonly #files: readonly KeptFile<string>[];
	#current: AuthStrategy;
	/** Conversations that began with them end with them, and they know whose tokens they have fetched. */
	#former: AuthStrategy[] = [];
	/** What the files held when the options were made. */
	#texts: readonly string[];
	#renewal: Promise<void> | undefined;

	constructor(rotating: RotatingOptions, options: unknown, build: (options: unknown) => AuthStrategy) {
		this.#rotating = rotating;
		this.#build = build;
		const {largest, parse} = rotating;
		this.#files = rotating.files.map(({file}) => new KeptFile(file, {largest, parse, interval: 0}));
		this.#texts = rotating.files.map(({text}) => text);
		this.#current = build(options);
		this.requiresResponseBody = this.#current.requiresResponseBody === true;
		// What the strategy lacks, this one lacks too.
		const {status, examine, forget, explain, atHand} = this.#current;
		const define = (name: string, value: unknown): void => void Object.defineProperty(this, name, {value});
		if (status !== undefined)
			define('status', async (...given: []) => (await this.#upToDate()).status?.(...given));
		if (examine !== undefined) {
			const ask: NonNullable<AuthStrategy['examine']> = async (url, settings) =>
				(await this.#upToDate()).examine?.(url, settings);
			define('examine', ask);
		}
		if (forget !== undefined) define('forget', () => this.#forget());
		if (atHand !== undefined) {
			const ask: NonNullable<AuthStrategy['atHand']> = request => this.#issued(request);
			define('atHand', ask);
		}
		if (explain !== undefined) define('explain', () => this.#current.explain?.() ?? []);
	}

	async *authenticate(request: AuthRequest): Conversation {
		const strategy = await this.#upToDate();
		// What the loop does for a strategy that it sees itself.
		if (strategy.requiresRequestBody === true) await request.readBody();
		yield* strategy.authenticate(request);
	}

	/**
	 * What was issued stays in use whatever the files hold by now. Once in a while it is not at hand, so that a conversation
	 * looks at them: other options than the secret may come from files.
	 */
	#issued(request: Pick<AuthRequest, 'method' | 'tenant'>): CredentialAtHand | undefined {
		if (!this.#files.every(file => file.wasLookedAt(longestUnlooked))) return undefined;
		const credential = this.#current.atHand?.(request);
		return credential?.isIssued === true ? credential : undefined;
	}

	async #upToDate(): Promise<AuthStrategy> {
		const texts = await this.#read();
		if (texts?.some((text, index) => text !== this.#texts[index])) {
			this.#renewal ??= this.#renew(texts).finally(() => {
				this.#renewal = undefined;
			});
			await this.#renewal;
		}
		return this.#current;
	}

	/** `undefined` where one cannot be read: it is being replaced. */
	async #read(): Promise<readonly string[] | undefined> {
		try {
			return await Promise.all(this.#files.map(file => file.current()));
		} catch {
			return undefined;
		}
	}

	/** What is wrong now, such as an empty file, takes the place of nothing that was right. */
	async #renew(texts: readonly string[]): Promise<void> {
		const options = await this.#rotating.remake();
		this.#texts = texts;
		if (options === undefined) return;
		this.#former = [this.#current, ...this.#former].slice(0, mostFormer);
		this.#current = this.#build(options);
	}

	/** The tokens are dropped first; that a former secret is not good for revoking them any more is no failure. */
	async #forget(): Promise<void> {
		await (await this.#upToDate()).forget?.();
		for (const former of this.#former) {
			await former.forget?.().catch((error: unknown) => {
				if (error instanceof TokenCacheError) throw error;
			});
		}
	}
}
