/** The thread of test/servers/skewed-oidc-provider.ts. Its clock is shifted before the server is loaded. */
import {ServerResponse} from 'node:http';
import {parentPort, workerData} from 'node:worker_threads';
import type {SkewedServer, SkewedSettings} from './skewed-oidc-provider.ts';

const {skew, ca, certificate, clientKeys} = workerData as SkewedSettings;

const Clock = Date;
globalThis.Date = class extends Clock {
	constructor(...parameters: unknown[]) {
		if (parameters.length === 0) super(Clock.now() + skew);
		else super(...(parameters as [number]));
	}

	static override now(): number {
		return Clock.now() + skew;
	}
} as DateConstructor;

// Node's http has a clock of its own for this header.
const {writeHead} = ServerResponse.prototype;
ServerResponse.prototype.writeHead = function (this: ServerResponse, ...parameters: unknown[]) {
	this.setHeader('date', new Date().toUTCString());
	return Reflect.apply(writeHead, this, parameters);
} as typeof writeHead;

const {startOidcProvider} = await import('./oidc-provider.ts');
const provider = await startOidcProvider({authority: {ca, issue: async () => certificate}, clientKeys});
const {issuer, tokenEndpoint, jwks} = provider;
parentPort?.on('message', () => {
	parentPort?.postMessage(provider.tokenRequests.map(({error}) => error));
});
parentPort?.postMessage({issuer, tokenEndpoint, jwks} satisfies SkewedServer);
