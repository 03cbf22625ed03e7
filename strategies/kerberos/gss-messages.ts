/** What the provider and its worker thread say to each other. */
import type {GssContextRequest, GssService} from './gss-provider.ts';

/** Where a rule's tickets come from. */
export interface CredentialSource {
	readonly principal?: string | undefined;
	/** A name as Kerberos writes it: `FILE:/tmp/krb5cc_0`. */
	readonly credentialCache?: string | undefined;
	/** An absolute path, or a name as Kerberos writes it where it is no file: `MEMORY:mine`. */
	readonly keytab?: string | undefined;
	/** A secret. It is kept in memory only. */
	readonly password?: string | undefined;
}

/** What a thread is for. */
export interface ThreadSettings {
	/** `mit`, `heimdal` or a file; absent: the first that is there. */
	readonly library: string | undefined;
	readonly source: CredentialSource;
}

/** What a worker is started with. */
export interface WorkerSettings extends ThreadSettings {
	/** One for all threads of the process: 1 while one of them starts the library. */
	readonly lock: Int32Array<SharedArrayBuffer>;
	/** 1 once nobody waits for this thread any more: calls that are still to come are passed over. */
	readonly abandoned: Int32Array<SharedArrayBuffer>;
	/** Counts the calls, so that a thread that waits for the next one need not go to sleep in its event loop. */
	readonly bell: Int32Array<SharedArrayBuffer>;
}

/** What the worker is asked. Each call but `dispose` and `end` is answered. */
export type Call = Question & {
	/** Contexts that have ended since: a message of their own would cost as much as a third of the call. */
	readonly ended?: readonly number[];
};

type Question =
	| {
			readonly id: number;
			readonly kind: 'begin';
			readonly context: number;
			readonly beginning: GssContextRequest;
	  }
	| {readonly id: number; readonly kind: 'step'; readonly context: number; readonly token: Uint8Array}
	| {readonly id: number; readonly kind: 'whose'; readonly service: GssService}
	| {readonly id: number; readonly kind: 'inquire'}
	| {readonly kind: 'dispose'}
	| {readonly kind: 'end'};

/** What a step gave. */
export interface Progress {
	readonly token: Uint8Array;
	readonly isComplete: boolean;
	/** Whose tickets these are; with the first step only. */
	readonly principal?: string;
}

/** What is known of the credential at hand. */
export interface CredentialFacts {
	readonly library: string;
	readonly principal: string;
	/** Seconds until it ends. */
	readonly lifetime: number;
	/** The cache with its tickets, by its name. */
	readonly cache: string | undefined;
}

/** Why a call failed. */
export interface Failure {
	/** What the library was doing; `library`: it could not be loaded. */
	readonly phase: 'library' | 'credential' | 'name' | 'context';
	/** In the library's words, or in ours where it was not asked. */
	readonly text: string;
	readonly major?: number;
	readonly minor?: number;
	/** The file with tickets or keys was changed just now: it may be whole again in a moment. */
	readonly isPassing?: boolean;
}

export interface Answer {
	readonly id: number;
	readonly result?: Progress | CredentialFacts | string | undefined;
	readonly failure?: Failure;
}
