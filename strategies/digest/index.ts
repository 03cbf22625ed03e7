/** `digest`: a user and a password that is proven, and never sent (HTTP Digest, RFC 7616). */
import {
	type AuthRequest,
	type AuthResponse,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialStatus,
	inject,
	parseChallenges,
	parseParameters,
	StrategyOptions,
} from '../../src/strategy/index.ts';
import {type DigestOptions, digestOptions} from './options.ts';
import {openProtectionSpace, type ProtectionSpace} from './protection-space.ts';
import {ProtectionSpaces} from './spaces.ts';

/**
 * Answers a Digest challenge, the strongest that the server offers: SHA-512-256, SHA-256, or MD5 where it must be. The
 * nonce is kept for each protection space and counted, so only the first request is sent twice. Where the server offers
 * nothing that can be answered, or refuses the password, its 401 is the response.
 */
@authStrategy({name: 'digest', options: digestOptions})
export class DigestStrategy implements AuthStrategy {
	readonly #options: DigestOptions;
	/** A server that wants other passwords in other places has a rule for each. */
	readonly #spaces = new ProtectionSpaces();

	constructor(@inject(StrategyOptions) options: DigestOptions) {
		this.#options = options;
	}

	async *authenticate(request: AuthRequest): Conversation {
		let shown = this.#spaces.find(request.url);
		if (shown !== undefined) await this.#show(shown, request);
		let response = yield;
		for (let tries = 0; tries < 2; tries++) {
			if (response.status !== 401) break;
			const challenges = parseChallenges(response.headers['www-authenticate'], 'digest');
			const offered = openProtectionSpace(challenges);
			// With its own nonce still in force, what the server refuses is the password.
			const isStale = challenges.some(({parameters}) => parameters.get('stale')?.toLowerCase() === 'true');
			if (offered === undefined || (shown !== undefined && tries > 0 && !isStale)) return;
			this.#spaces.keep(request.url, offered);
			if (!request.replayable) return;
			shown = offered;
			await this.#show(shown, request);
			response = yield;
		}
		takeNextNonce(response, shown);
	}

	async status(): Promise<CredentialStatus> {
		return {available: true, detail: `HTTP digest as ${this.#options.username}`};
	}

	async forget(): Promise<void> {
		this.#spaces.clear();
	}

	async #show(space: ProtectionSpace, request: AuthRequest): Promise<void> {
		const {method, url, requestTarget: target = url.pathname + url.search} = request;
		const body = space.protectsBody ? await request.readBody() : undefined;
		const sent = {method, target, body};
		request.headers.set('authorization', space.authorization(sent, this.#options));
	}
}

function takeNextNonce({headers}: AuthResponse, space: ProtectionSpace | undefined): void {
	const nonce = parseParameters(headers['authentication-info']).get('nextnonce');
	if (nonce !== undefined) space?.renew(nonce);
}
