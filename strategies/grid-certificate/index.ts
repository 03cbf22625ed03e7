/** `grid-certificate`: shows a client certificate (RFC 8446 section 4.4.2). */
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialAtHand,
	type CredentialStatus,
	Identities,
	type IdentitySource,
	inject,
	StrategyOptions,
} from '../../src/strategy/index.ts';
import {gridCertificateOptions} from './options.ts';

/**
 * Shows the identity on the connection; there is nothing to add to the request itself.
 *
 * Fails with a `CredentialUnavailableError` where there is no certificate, and with a `CertificateError` where it
 * cannot be used or the server refuses it.
 */
@authStrategy({name: 'grid-certificate', options: gridCertificateOptions})
export class GridCertificateStrategy implements AuthStrategy {
	readonly #source: IdentitySource;
	readonly #identities: Identities;
	#shown: CredentialAtHand | undefined;

	constructor(@inject(StrategyOptions) options: IdentitySource, @inject(Identities) identities: Identities) {
		this.#source = options;
		this.#identities = identities;
	}

	async *authenticate(request: AuthRequest): Conversation {
		request.identity = await this.#identities.load(this.#source);
		yield;
	}

	atHand(): CredentialAtHand | undefined {
		const identity = this.#identities.atHand?.(this.#source);
		if (identity === undefined) return undefined;
		if (this.#shown?.identity !== identity) this.#shown = {identity};
		return this.#shown;
	}

	async status(): Promise<CredentialStatus> {
		const identity = await this.#identities.load(this.#source);
		const {subject, files, notAfter, warnings = []} = identity;
		const notes = this.explain();
		return {
			available: true,
			detail: `${subject} from ${files.certificate}`,
			expiresAt: notAfter,
			identity,
			...(warnings.length > 0 && {diagnostics: warnings}),
			// Of a place that was named there is no more to say.
			...(notes.length > 1 && {notes}),
		};
	}

	explain(): readonly string[] {
		return this.#identities.explain?.(this.#source) ?? [];
	}
}
