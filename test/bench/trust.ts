/** A trust store of 150 CA certificates: gatepass parses it once for the process, Node by default for each connection. */
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {createServer} from 'node:https';
import type {AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {rootCertificates} from 'node:tls';
import {createTestAuthority} from 'gatepass/testing';
import {startChild} from './child.ts';
import {type Row, spread, verdictOf} from './report.ts';
import {medianOf, summarise} from './statistics.ts';
import type {TrustClientSettings, TrustCost} from './trust-client.ts';

const certificates = 150;
const connections = 10;
const runs = 9;

export async function measureTrust(): Promise<Row[]> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-bench-trust-'));
	const authority = await createTestAuthority();
	const own = await authority.issue('server', {subject: 'CN=localhost', hosts: ['127.0.0.1']});
	const [cert, key] = await Promise.all([own.certificate, own.key].map(file => readFile(file)));
	const server = createServer({cert, key}, (_request, response) => response.end('ok'));
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	try {
		const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
		const ca = join(folder, 'ca.pem');
		const others = [...rootCertificates, ...(await gridCertificates())].slice(0, certificates - 1);
		await writeFile(ca, [...others, await readFile(authority.ca, 'utf8')].join('\n'));
		const measure = async (side: TrustClientSettings['side']): Promise<TrustCost> => {
			const settings: TrustClientSettings = {side, url, ca, connections};
			const {child, greeting} = await startChild<TrustCost>('trust-client.ts', settings);
			await child.close();
			return greeting;
		};
		const ours: TrustCost[] = [];
		const theirs: TrustCost[] = [];
		for (let run = 0; run < runs; run++) {
			ours.push(await measure('gatepass'));
			theirs.push(await measure('bare got'));
		}
		const ratio = summarise(ours.map(({last}, index) => last / (theirs[index]?.last ?? 0)));
		return [
			{
				group: 'trust',
				name: `trust store of ${others.length + 1} certificates: time to the ${connections}th new connection`,
				target: 'less than 1 x',
				measured: `${spread(ratio)} x`,
				ours: describe(ours),
				theirs: `${describe(theirs)} for Node's default`,
				verdict: verdictOf(ratio.median < 1),
				figures: {ratio, ours: mediansOf(ours), nodesDefault: mediansOf(theirs)},
			},
		];
	} finally {
		server.closeAllConnections();
		await new Promise(resolve => server.close(resolve));
		await authority.close();
		await rm(folder, {recursive: true, force: true});
	}
}

/** Node brings fewer than 150 roots. */
async function gridCertificates(): Promise<string[]> {
	const bundle = await readFile(new URL('../../bundles/igtf/ca.pem', import.meta.url), 'utf8');
	return bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}

function mediansOf(costs: readonly TrustCost[]): TrustCost {
	return {first: medianOf(costs.map(({first}) => first)), last: medianOf(costs.map(({last}) => last))};
}

function describe(costs: readonly TrustCost[]): string {
	const {first, last} = mediansOf(costs);
	return `${last.toFixed(0)} ms, the first after ${first.toFixed(0)} ms`;
}
