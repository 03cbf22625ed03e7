/** Counts, by V8's coverage, the files of gatepass that one request runs code in; for files-run.test.ts. */
import {createServer} from 'node:http';
import {Session} from 'node:inspector/promises';
import type {AddressInfo} from 'node:net';
import {sourcesIn} from '../built-sources.ts';

const dist = new URL('../../dist/', import.meta.url);
const {createGatepass} = (await import(
	new URL('src/index.js', dist).href
)) as typeof import('../../src/index.ts');

let issued = 0;
let refusesNext = false;
const server = createServer((request, response) => {
	if (request.url === '/token') {
		issued += 1;
		response.setHeader('content-type', 'application/json');
		response.end(JSON.stringify({access_token: `t-${issued}`, token_type: 'Bearer', expires_in: 3600}));
	} else if (refusesNext) {
		refusesNext = false;
		response.writeHead(401).end();
	} else response.end('ok');
});
await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const gatepass = await createGatepass({
	env: {},
	config: {
		cache: {url: 'memory:'},
		hostRules: [
			{
				match: origin,
				strategy: 'sso-client-credentials',
				options: {clientId: 'a', clientSecret: 'b', tokenEndpoint: `${origin}/token`},
			},
		],
	},
});
const session = new Session();
session.connect();
await session.post('Profiler.enable');
await session.post('Profiler.startPreciseCoverage', {callCount: true, detailed: false});

async function filesRunBy(work: () => Promise<unknown>): Promise<string[]> {
	await session.post('Profiler.takePreciseCoverage');
	await work();
	const {result} = await session.post('Profiler.takePreciseCoverage');
	const run = result
		.filter(({url}) => url.startsWith(dist.href))
		.flatMap(({url, functions}) => {
			const starts = functions
				.filter(({functionName, ranges}) => functionName !== '' || (ranges[0]?.startOffset ?? 0) > 0)
				.filter(({ranges}) => (ranges[0]?.count ?? 0) > 0)
				.map(({ranges}) => ranges[0]?.startOffset ?? 0);
			return sourcesIn(new URL(url))
				.filter(({start, end}) => starts.some(place => place >= start && place < end))
				.map(({source}) => source);
		});
	return [...new Set(run)].sort();
}

const request = (): Promise<string> => gatepass.got(origin).text();
for (let warm = 0; warm < 3; warm++) await request();
const warm = await filesRunBy(request);
const refused = await filesRunBy(() => {
	refusesNext = true;
	return request();
});
console.log(JSON.stringify({warm, refused}));
await gatepass.close();
server.close();
