/** What a configuration says about the local proxy. */
import type {Pattern} from '../host-rules/pattern.ts';

/** Where the proxy listens. */
export type ListenAddress =
	| {
			/** Absolute. */
			readonly path: string;
	  }
	| {
			/** A name or an address, without brackets. */
			readonly host: string;
			/** 0: any that is free. */
			readonly port: number;
	  };

/** A path of the proxy that leads to a server. */
export interface ServeRoute {
	/** Without a slash at its end, so empty for all paths. */
	readonly prefix: string;
	/** Without query and fragment; its path has no slash at its end. */
	readonly target: URL;
}

export interface ServeSettings {
	readonly listen: ListenAddress;
	/** The longest prefix first. */
	readonly routes: readonly ServeRoute[];
	readonly forward: boolean;
	readonly intercept: 'rules' | 'off';
	/** Hosts whose tunnels are never opened. */
	readonly pinned: readonly Pattern[];
	/** A secret. */
	readonly secret?: string | undefined;
	readonly allowLocalUsers: boolean;
	readonly redirects: 'follow' | 'return';
	/** Absolute paths of PEM files. */
	readonly tls?: {readonly certificate: string; readonly key: string} | undefined;
}

export const defaultListen: ListenAddress = {host: '127.0.0.1', port: 8642};
