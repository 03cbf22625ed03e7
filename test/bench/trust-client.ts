/** The time to the tenth new connection with a large set of CA certificates, in a process that has made none yet. */
import {readFileSync} from 'node:fs';
import {performance} from 'node:perf_hooks';
import {createGatepass} from 'gatepass';
import got, {type Got} from 'got';
import {childArgument, tellParent} from './child.ts';

export interface TrustClientSettings {
	readonly side: 'gatepass' | 'bare got';
	readonly url: string;
	/** PEM file of all CA certificates. */
	readonly ca: string;
	readonly connections: number;
}

export interface TrustCost {
	/** Milliseconds until the first answer was there. */
	readonly first: number;
	/** Until the last one was. */
	readonly last: number;
}

const {side, url, ca, connections} = childArgument<TrustClientSettings>();
const client = await open();
// Loads what a request needs, without TLS.
await client('http://127.0.0.1:1', {retry: {limit: 0}}).catch(() => {});

const start = performance.now();
let first = 0;
for (let connection = 0; connection < connections; connection++) {
	await client(url, {headers: {connection: 'close'}});
	first ||= performance.now() - start;
}
tellParent({first, last: performance.now() - start} satisfies TrustCost);

async function open(): Promise<Got> {
	if (side === 'bare got') return got.extend({https: {certificateAuthority: readFileSync(ca, 'utf8')}});
	const trust = [{match: url, ca, only: true}];
	return (await createGatepass({config: {cache: {url: 'memory:'}, trust}})).got;
}
