/** `static-token`: a bearer token, an API key or a password that is written down. */
import {diagnostic, type Finding} from '../../src/diagnostics/diagnostic.ts';
import {CredentialUnavailableError} from '../../src/errors.ts';
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialAtHand,
	type CredentialStatus,
	inject,
	RuleInfo,
	StrategyOptions,
} from '../../src/strategy/index.ts';
import {jwtExpiry} from '../bearer/jwt.ts';
import {formOf, type StaticTokenOptions, staticTokenOptions} from './options.ts';

/**
 * Shows a secret that stands in the options: a bearer token (RFC 6750), an API key in a header or a query parameter,
 * or a user and password (RFC 7617). Fails with a `CredentialUnavailableError` where the token says that it has expired.
 */
@authStrategy({name: 'static-token', options: staticTokenOptions})
export class StaticTokenStrategy implements AuthStrategy {
	readonly #options: StaticTokenOptions;
	readonly #rule: RuleInfo;
	readonly #expiresAt: number | undefined;
	readonly #add: (request: AuthRequest) => void;
	readonly #atHand: CredentialAtHand | undefined;

	constructor(@inject(StrategyOptions) options: StaticTokenOptions, @inject(RuleInfo) rule: RuleInfo) {
		this.#options = options;
		this.#rule = rule;
		this.#expiresAt = options.token === undefined ? undefined : jwtExpiry(options.token);
		this.#add = adderFor(options);
		this.#atHand = headerFor(options);
	}

	async *authenticate(request: AuthRequest): Conversation {
		const expired = this.#expired();
		if (expired !== undefined) throw new CredentialUnavailableError(expired);
		this.#add(request);
		yield;
	}

	atHand(): CredentialAtHand | undefined {
		return this.#expired() === undefined ? this.#atHand : undefined;
	}

	async status(): Promise<CredentialStatus> {
		const expiresAt = this.#expiresAt;
		const expired = this.#expired();
		return {
			available: expired === undefined,
			detail: describeForm(this.#options),
			...(expired !== undefined && {diagnostics: [diagnostic(expired)]}),
			...(expiresAt !== undefined && {expiresAt}),
		};
	}

	#expired(): Finding | undefined {
		if (this.#expiresAt === undefined || this.#expiresAt > Date.now()) return undefined;
		return {
			code: 'token-expired',
			what: `The token of the rule for ${this.#rule.match} (${this.#rule.source}) expired on ${new Date(this.#expiresAt).toISOString()}`,
			hint: 'Get a new one',
		};
	}
}

/** How the secret is shown, worked out once. */
function adderFor(options: StaticTokenOptions): (request: AuthRequest) => void {
	const {query = '', value = ''} = options;
	const [name, text] = headerFor(options)?.header ?? [];
	return name === undefined || text === undefined
		? request => request.url.searchParams.set(query, value)
		: request => request.headers.set(name, text);
}

/** The header that shows it; `undefined`: it stands in the query. */
function headerFor(options: StaticTokenOptions): CredentialAtHand | undefined {
	const {token, header = '', value = '', username = '', password = ''} = options;
	switch (formOf(options)) {
		case 'token':
			return {header: ['authorization', `Bearer ${token}`]};
		case 'header':
			return {header: [header.toLowerCase(), value]};
		case 'query':
			return undefined;
		default: {
			const credentials = Buffer.from(`${username}:${password}`).toString('base64');
			return {header: ['authorization', `Basic ${credentials}`]};
		}
	}
}

function describeForm(options: StaticTokenOptions): string {
	switch (formOf(options)) {
		case 'token':
			return 'a bearer token from the configuration';
		case 'header':
			return `an API key in the header ${options.header}`;
		case 'query':
			return `an API key in the query parameter ${options.query}`;
		default:
			return `HTTP basic as ${options.username}`;
	}
}
