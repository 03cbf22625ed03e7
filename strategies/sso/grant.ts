/** What a token request asks by, besides the client. */
import type {AssertionReader, Doubt} from '../bearer/claims.ts';

/** What is known when a request is made. */
export interface GrantOccasion {
	/** What the server goes by: its name as an issuer, or else its token endpoint. */
	readonly audience: string;
	/** When what is made now is to be dated, in seconds since 1970: by the clock that the server accepts. */
	readonly issuedAt: number;
}

/** A token request, and what makes its token different from others. */
export interface Grant {
	readonly type: string;
	readonly parameters: URLSearchParams;
	/** Parameters that are made, or read, again for each request. */
	complete?(occasion: GrantOccasion): Promise<Readonly<Record<string, string>>>;
	/** What the server may not have liked about it. */
	doubts?(reader: AssertionReader): readonly Doubt[];
	/** Texts that make the token different; secrets among them are hashed. */
	readonly distinguishing?: Readonly<Record<string, string>>;
}
