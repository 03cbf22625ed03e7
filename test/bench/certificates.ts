/** Client certificates on Apache: beside bare got with an agent of its own, 50 identities in turn, and cernrequests' way. */
import type {CertificateFiles} from '../../src/testing/authority.ts';
import {type ApacheWithUsers, apache, startApacheMtls} from '../servers/apache.ts';
import type {CertificateClientSettings, CertificateRound} from './certificate-client.ts';
import {type Child, startChild} from './child.ts';
import {pythonRequests, startPythonClient} from './python-requests.ts';
import {count, type Row, spread, verdictOf} from './report.ts';
import {medianOf, type Summary, summarise} from './statistics.ts';
import type {Round} from './throughput-client.ts';
import {takeTurns} from './turns.ts';

const group = 'certificates';
const identityCount = 50;
const requestsInRound = 200;
/** Each group of processes is compiled and laid out in memory again; one alone may be lucky. */
const groups = 3;
const turns = {warmUp: 8, counted: 20};
/** Each request of it makes a connection, so few of them tell. */
const python = {requests: 50, warmUp: 1, counted: 4};
const pythonThreads = 50;

type User = CertificateClientSettings['identities'][number];
type Side = Omit<CertificateClientSettings, 'url' | 'ca'>;

interface Comparison {
	/** Of the rates of two rounds that stood beside each other. */
	readonly ratio: Summary;
	readonly ours: readonly CertificateRound[];
	readonly theirs: readonly CertificateRound[];
	readonly sockets: number;
	readonly handshakes: number;
}

export async function measureCertificates(): Promise<Row[]> {
	const missing = apache.whyUnavailable();
	if (missing !== undefined) return [skipped('client certificates', `${missing}; ${apache.install}`)];
	const server = await startApacheMtls();
	try {
		const users = await Promise.all(Array.from({length: identityCount}, (_, index) => issue(server, index)));
		const [first] = users as [User, ...User[]];
		const bare: Side = {side: 'bare got', identities: [first]};
		const ours: Side = {side: 'gatepass', identities: [first]};
		const [fixed, noise] = await compareSides(server, [ours, bare, bare]);
		const [alternating] = await compareSides(server, [
			{side: 'gatepass', identities: users},
			{side: 'gatepass', identities: users.map(() => first)},
		]);
		return [
			toRow('gatepass.got, client certificate, keep-alive', 'bare got with an agent of its own', fixed, 0.97),
			toRow('bare got beside itself: the noise of this run', 'bare got', noise),
			toRow(`${identityCount} identities in turn on one host`, 'one identity', alternating, 0.9),
			await comparePython(server, first),
		];
	} finally {
		await server.close();
	}
}

async function issue({authority}: ApacheWithUsers, index: number): Promise<User> {
	const files = await authority.issue(`user-${index}`, `/O=Gatepass/OU=Users/CN=user-${index}`);
	return {...files, subject: `CN=user-${index},OU=Users,O=Gatepass`};
}

/** The first side, and each further one but the last, against the last. */
async function compareSides(server: ApacheWithUsers, sides: readonly Side[]): Promise<Comparison[]> {
	const rounds: CertificateRound[][] = sides.map(() => []);
	let sockets = 0;
	const before = (await server.handshakes()).length;
	for (let time = 0; time < groups; time++) {
		const clients: Child[] = [];
		try {
			for (const side of sides) clients.push(await startClient(server, side));
			// Each first request is slow: with it, the certificate is read and the connections are made.
			const asks = clients.map(client => () => client.ask<CertificateRound>(requestsInRound));
			const all = await takeTurns(asks, {warmUp: 0, counted: turns.warmUp + turns.counted});
			for (const [index, side] of all.entries()) {
				rounds[index]?.push(...side.slice(turns.warmUp));
				for (const round of side) sockets += round.sockets;
			}
		} finally {
			await Promise.all(clients.map(client => client.close()));
		}
	}
	const handshakes = (await server.handshakes()).length - before;
	const theirs = rounds.at(-1) ?? [];
	return rounds.slice(0, -1).map(ours => ({
		ratio: summarise(ours.map(({rate}, index) => rate / (theirs[index]?.rate ?? 0))),
		ours,
		theirs,
		sockets,
		handshakes,
	}));
}

async function startClient({urls, ca}: ApacheWithUsers, side: Side): Promise<Child> {
	const settings: CertificateClientSettings = {...side, url: urls['TLSv1.3'], ca};
	return (await startChild('certificate-client.ts', settings)).child;
}

/**
 * cernrequests is not among the packages of Debian; its `get` is `requests.get(url, cert=…, verify=…)`, without a session,
 * and that is what the script does.
 */
async function comparePython(server: ApacheWithUsers, user: User & CertificateFiles): Promise<Row> {
	const name = "cernrequests' get: requests.get with certificate and CA file";
	const missing = pythonRequests.whyUnavailable();
	if (missing !== undefined) return skipped(name, `${missing}; ${pythonRequests.install}`);
	const ours = await startClient(server, {side: 'gatepass', identities: [user]});
	const theirs = await startPythonClient(
		'cernrequests-get.py',
		...[`${server.urls['TLSv1.3']}/0/page`, user.certificate, user.key, server.ca, String(pythonThreads)],
	);
	try {
		const [mine = [], other = []] = await takeTurns<Round>(
			[() => ours.ask<CertificateRound>(python.requests), () => theirs.burst(python.requests)],
			python,
		);
		const ratio = summarise(mine.map(({rate}, index) => rate / (other[index]?.rate ?? 0)));
		return {
			group,
			name,
			target: 'more than 1 x',
			measured: `${spread(ratio)} x`,
			ours: describe(mine),
			theirs: `${describe(other)} for Python`,
			verdict: verdictOf(ratio.median > 1),
			figures: {ratio, ours: mediansOf(mine), python: mediansOf(other)},
		};
	} finally {
		await Promise.all([ours.close(), theirs.close()]);
	}
}

function toRow(name: string, beside: string, comparison: Comparison | undefined, smallest?: number): Row {
	if (comparison === undefined) throw new Error(`${name}: nothing was measured`);
	const {ratio, ours, theirs, sockets, handshakes} = comparison;
	const isMet = ratio.median >= (smallest ?? 0) && handshakes === sockets;
	return {
		group,
		name,
		target: smallest === undefined ? '' : `at least ${smallest} x, a handshake a socket`,
		measured: `${spread(ratio)} x, ${count(handshakes)} handshakes, ${count(sockets)} sockets`,
		ours: describe(ours),
		theirs: `${describe(theirs)} for ${beside}`,
		verdict: smallest === undefined ? 'no target' : verdictOf(isMet),
		figures: {ratio, ours: mediansOf(ours), theirs: mediansOf(theirs), sockets, handshakes},
	};
}

function skipped(name: string, reason: string): Row {
	const measured = `skipped: ${reason}`;
	return {
		group,
		name,
		target: '',
		measured,
		ours: '',
		theirs: '',
		verdict: 'no target',
		figures: {skipped: reason},
	};
}

function mediansOf(rounds: readonly Round[]): Round {
	return {rate: medianOf(rounds.map(({rate}) => rate)), cpu: medianOf(rounds.map(({cpu}) => cpu))};
}

function describe(rounds: readonly Round[]): string {
	const {rate, cpu} = mediansOf(rounds);
	return `${count(rate)}/s, ${cpu.toFixed(0)} µs of CPU`;
}
