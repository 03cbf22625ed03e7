/** What proves to an ACME server that a name is ours (RFC 8555 section 8). */

/** One challenge that is to be answered. */
export interface ChallengeTask {
	/** The name or address, without `*.`. */
	readonly domain: string;
	readonly wildcard: boolean;
	/** `http-01`, `dns-01`, `tls-alpn-01`, `dns-account-01`, `dns-persist-01`. */
	readonly type: string;
	/** An empty text for `dns-persist-01`, which has none. */
	readonly token: string;
	/** The account that orders: records of `dns-account-01` and `dns-persist-01` name it. */
	readonly accountUrl: string;
	/** Of `dns-persist-01`: what the authority may be called in the record. */
	readonly issuerDomainNames?: readonly string[];
	/** What the server wants to see: the token and the thumbprint of the account's key. */
	readonly keyAuthorization: string;
	/** All names of the order. */
	readonly allDomains: readonly string[];
	/** How many challenges of the order are still to come after this one. */
	readonly remaining: number;
	readonly signal?: AbortSignal | undefined;
}

/** Takes the answer away again. Called once, whatever became of the challenge. */
export type CleanUp = () => Promise<void>;

/** Answers challenges. Users may write their own. */
export interface Authenticator {
	/** For messages and the user agent, such as `standalone`. */
	readonly name: string;
	/** The kinds of challenges that it can answer, the first choice first. */
	readonly challenges: readonly string[];
	/** Whether it can answer for several orders at once. Default: no, and orders wait for each other. */
	readonly isShareable?: boolean;
	/** Have the answer in place when this resolves. Several may be in place at once. */
	perform(task: ChallengeTask): Promise<CleanUp>;
}
