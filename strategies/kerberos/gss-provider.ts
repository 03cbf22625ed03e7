/**
 * What the Negotiate conversation needs of a GSS-API library (RFC 2743). `kerberos-stub` brings a provider that
 * needs no realm; a real library stands behind the same interface.
 */

/** Whom to talk to and as whom. */
export interface GssContextRequest {
	/** The service's name, host-based: `HTTP@www.example.org`. */
	readonly target: string;
	/** The principal to act as; absent: the default one. */
	readonly principal?: string | undefined;
	/** Whether the server has to prove itself. */
	readonly mutualAuthentication: boolean;
	readonly delegate: boolean | 'policy';
}

/** One security context: it belongs to one request and ends with it. */
export interface GssContext {
	/**
	 * The next token for the server; the server's last token goes in.
	 *
	 * @returns nothing once there is nothing more to send.
	 * @throws {KerberosExchangeError} where the server's token is no good.
	 */
	step(input?: Uint8Array): Promise<Uint8Array | undefined>;
	/** Whether the context is established: with mutual authentication, whether the server has proved itself. */
	readonly isComplete: boolean;
	/** Let go of what the library holds. */
	dispose(): void;
}

export interface GssProvider {
	/** For `status` and `doctor`: what this is. */
	readonly description: string;
	/**
	 * Begin a context.
	 *
	 * @throws {CredentialUnavailableError} where there is no ticket to be had.
	 */
	createContext(request: GssContextRequest): Promise<GssContext>;
}
