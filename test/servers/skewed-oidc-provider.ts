/** An oidc-provider whose clock differs from this process's: it runs in a thread of its own, which has its own `Date`. */
import {once} from 'node:events';
import {Worker} from 'node:worker_threads';
import type {JWK} from 'jose';
import type {CertificateFiles, TestAuthority} from '../../src/testing/authority.ts';

/** What the thread is told; it can be sent. */
export interface SkewedSettings {
	/** Milliseconds that the server's clock is ahead. */
	readonly skew: number;
	readonly ca: string;
	readonly certificate: CertificateFiles;
	readonly clientKeys: readonly JWK[];
}

/** What the thread tells once it listens. */
export interface SkewedServer {
	readonly issuer: string;
	readonly tokenEndpoint: string;
	readonly jwks: {readonly keys: JWK[]};
}

export interface SkewedOidcProvider extends SkewedServer {
	readonly authority: TestAuthority;
	/** The OAuth error codes of all token requests so far; `undefined`: a token was issued. */
	outcomes(): Promise<(string | undefined)[]>;
	close(): Promise<void>;
}

export async function startSkewedOidcProvider(
	skew: number,
	{authority, clientKeys = []}: {authority: TestAuthority; clientKeys?: readonly JWK[]},
): Promise<SkewedOidcProvider> {
	const certificate = await authority.issue('skewed', {subject: 'CN=skewed', hosts: ['127.0.0.1']});
	const workerData: SkewedSettings = {skew, ca: authority.ca, certificate, clientKeys};
	const worker = new Worker(new URL('./skewed-oidc-provider-thread.ts', import.meta.url), {
		workerData,
		// Not those of the test runner, which transforms modules its own way.
		execArgv: [],
	});
	const [server] = (await once(worker, 'message')) as [SkewedServer];
	return {
		...server,
		authority,
		async outcomes() {
			worker.postMessage('outcomes');
			const [outcomes] = await once(worker, 'message');
			return outcomes;
		},
		async close() {
			await worker.terminate();
		},
	};
}
