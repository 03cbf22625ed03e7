/**
 * What the Negotiate conversation needs of a GSS-API library (RFC 2743). `kerberos` brings one over the system's
 * library, `kerberos-stub` one that needs no realm.
 */
import type {GatepassError} from '../../src/errors.ts';

/** Whom to talk to. */
export interface GssService {
	/** The service's name, host-based: `HTTP@www.example.org`. */
	readonly target: string;
	/** Replace the host in it by the canonical name that DNS has for it. */
	readonly canonicalizeHostname: boolean;
}

/** Whom to talk to and how. As whom is the provider's to know. */
export interface GssContextRequest extends GssService {
	readonly mechanism: 'spnego' | 'krb5';
	/** Whether the server has to prove itself. */
	readonly mutualAuthentication: boolean;
	readonly delegate: boolean | 'policy';
	/** What ties the exchange to a TLS connection: the application data of RFC 5929. */
	readonly channelBindings: Uint8Array | undefined;
	/** The server refused what was sent before: use new tickets where they are the provider's own. */
	readonly renew: boolean;
}

/** One security context: it belongs to one request and ends with it. */
export interface GssContext {
	/** The first token for the server. */
	readonly token: Uint8Array;
	/** Whose it is, where the provider knows. */
	readonly principal?: string | undefined;
	/** Whether the context is established: with mutual authentication, whether the server has proved itself. */
	readonly isComplete: boolean;
	/**
	 * Take the server's token in.
	 *
	 * @returns the next token for the server; empty where there is nothing more to send.
	 * @throws {KerberosExchangeError} where the server's token is no good.
	 */
	step(input: Uint8Array): Promise<Uint8Array>;
	/** Why the server refused this context's token, where the token of its refusal says so. Nobody vouches for that. */
	refusal?(token: Uint8Array): GatepassError | undefined;
	/** Let go of what the library holds. */
	dispose(): void;
}

export interface GssProvider {
	/** As whom a context with a service would be begun now; `undefined` where nobody can tell, as there is no ticket. */
	whose(service: GssService): Promise<string | undefined>;
	/**
	 * Begin a context.
	 *
	 * @throws {CredentialUnavailableError} where there is no ticket to be had.
	 * @throws {KerberosExchangeError} where the library cannot make a token.
	 */
	createContext(request: GssContextRequest): Promise<GssContext>;
}
