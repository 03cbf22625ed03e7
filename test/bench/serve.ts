/** `gatepass serve` and `gatepass run`, beside other proxies, no proxy, and programs that authenticate themselves. */
import {type ChildProcess, execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {Agent, request} from 'undici';
import {apacheNegotiate, environmentOf, startApacheNegotiate} from '../servers/apache-negotiate.ts';
import {findProgram} from '../servers/availability.ts';
import {freePorts} from '../servers/free-port.ts';
import {mitKdc, startKdc} from '../servers/kdc.ts';
import {startChild} from './child.ts';
import {python} from './python-process.ts';
import {count, type Row, spread, verdictOf} from './report.ts';
import type {PeerAddresses} from './serve-peer.ts';
import {summarise} from './statistics.ts';
import type {ServerAddresses} from './throughput-server.ts';
import {takeTurns} from './turns.ts';

const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const secret = 's'.repeat(43);
const size = 1024 ** 3;
const execute = promisify(execFile);

interface Load {
	readonly rate: number;
	/** Microseconds of the proxy's CPU for one request. */
	readonly cpu: number;
}

export async function measureServe(): Promise<Row[]> {
	const folder = mkdtempSync(join(tmpdir(), 'gatepass-bench-'));
	const opened: (() => unknown)[] = [() => rmSync(folder, {recursive: true})];
	try {
		const server = await startChild<ServerAddresses>('throughput-server.ts', null);
		opened.unshift(() => server.child.close());
		const {api, tokenEndpoint} = server.greeting;
		const peer = await startChild<PeerAddresses>('serve-peer.ts', {api, size});
		opened.unshift(() => peer.child.close());
		const fastifyPid = await peer.child.ask<number>(null);
		const options = {clientId: 'bench', clientSecret: 'secret', tokenEndpoint};
		const proxy = await startServe(folder, {
			cache: {url: 'memory:'},
			hostRules: [
				{match: new URL(api).origin, strategy: 'sso-client-credentials', options},
				{match: peer.greeting.large, strategy: 'static-token', options: {token: 'x'}},
			],
			serve: {listen: '127.0.0.1:0', routes: {'/api': new URL(api).origin, '/large': peer.greeting.large}},
		});
		opened.unshift(() => end(proxy.child));
		const ours = () => load(`${proxy.url}/api/runs`, proxy.child.pid as number);
		const rows = [
			...(findProgram('wrk') === undefined
				? []
				: [...(await throughputRows(ours, folder, api, `${peer.greeting.fastify}/runs`, fastifyPid))]),
			await latencyRow(api, `${proxy.url}/api/runs`),
			await largeRow(peer.greeting, `${proxy.url}/large/`, proxy.child.pid as number),
		];
		if (mitKdc.whyUnavailable() === undefined && apacheNegotiate.whyUnavailable() === undefined) {
			rows.push(await pythonRow());
		}
		return rows;
	} finally {
		for (const close of opened) await close();
	}
}

async function startServe(folder: string, configuration: object, env: NodeJS.ProcessEnv = {}) {
	const file = join(folder, 'gatepass.config.json');
	writeFileSync(file, JSON.stringify(configuration));
	const child = spawn(process.execPath, [main, 'serve', '-c', file, '--access-log', 'off'], {
		env: {...process.env, ...env, GATEPASS_SECRET: secret},
		stdio: ['ignore', 'ignore', 'pipe'],
	});
	let stderr = '';
	while (!/serves \S+\n/.test(stderr)) {
		const [data] = await once(child.stderr, 'data');
		stderr += data;
	}
	child.stderr.resume();
	return {child: child as ChildProcess, url: /serves (\S+)/.exec(stderr)?.[1] as string};
}

async function end(child: ChildProcess): Promise<void> {
	const ended = once(child, 'exit');
	child.kill('SIGKILL');
	await ended;
}

/** Seconds of CPU that a process has had. */
function cpuOf(pid: number): number {
	const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
		.replace(/^.*\) /, '')
		.split(' ');
	return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function load(url: string, pid: number): Promise<Load> {
	const before = cpuOf(pid);
	const {stdout} = await execute('wrk', ['-t1', '-c50', '-d2s', '-H', `X-Gatepass-Secret: ${secret}`, url]);
	const [, rate = '0'] = /Requests\/sec:\s+([\d.]+)/.exec(stdout) ?? [];
	const [, requests = '1'] = /(\d+) requests in/.exec(stdout) ?? [];
	if (/Non-2xx/.test(stdout)) throw new Error(`${url}: not all was served`);
	return {rate: Number(rate), cpu: ((cpuOf(pid) - before) / Number(requests)) * 1e6};
}

async function throughputRows(
	ours: () => Promise<Load>,
	folder: string,
	api: string,
	fastify: string,
	fastifyPid: number,
): Promise<Row[]> {
	const rows: Row[] = [];
	const compare = async (name: string, theirs: () => Promise<Load>, least: number): Promise<void> => {
		const [mine = [], others = []] = await takeTurns([ours, theirs], {warmUp: 2, counted: 6});
		const ratio = summarise(mine.map(({rate}, index) => rate / (others[index]?.rate ?? 0)));
		rows.push({
			group: 'serve',
			name: `reverse form, warm token, 50 at a time, beside ${name}`,
			target: `at least ${least} x`,
			measured: `${spread(ratio)} x`,
			ours: describe(mine),
			theirs: `${describe(others)} for ${name}`,
			verdict: verdictOf(ratio.median >= least),
			figures: {ratio, ours: mine, theirs: others},
		});
	};
	await compare('@fastify/http-proxy', () => load(fastify, fastifyPid), 1);
	const nginx = findProgram('nginx');
	if (nginx === undefined) return rows;
	const [port] = await freePorts(1);
	const {host} = new URL(api);
	writeFileSync(
		join(folder, 'nginx.conf'),
		`daemon off; master_process off; worker_processes 1; error_log ${folder}/error.log; pid ${folder}/nginx.pid;
events { worker_connections 1024; }
http { access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
upstream api { server ${host}; keepalive 64; }
server { listen 127.0.0.1:${port}; location / { proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Authorization "Bearer bench-token"; } } }`,
	);
	const child = spawn(nginx, ['-c', join(folder, 'nginx.conf'), '-p', folder], {stdio: 'ignore'});
	try {
		await new Promise(resolve => setTimeout(resolve, 500));
		await compare('nginx', () => load(`http://127.0.0.1:${port}/runs`, child.pid as number), 0.35);
	} finally {
		await end(child);
	}
	return rows;
}

function describe(loads: readonly Load[]): string {
	const rate = summarise(loads.map(one => one.rate)).median;
	return `${count(rate)}/s, ${summarise(loads.map(({cpu}) => cpu)).median.toFixed(0)} µs of CPU`;
}

/** One request at a time. */
async function latencyRow(api: string, through: string): Promise<Row> {
	const dispatcher = new Agent();
	const round = async (url: string): Promise<number[]> => {
		const times: number[] = [];
		for (let index = 0; index < 200; index += 1) {
			const begun = performance.now();
			const headers = {authorization: 'Bearer bench-token', 'x-gatepass-secret': secret};
			const {body} = await request(url, {dispatcher, headers});
			await body.text();
			times.push(performance.now() - begun);
		}
		return times;
	};
	const [direct = [], proxied = []] = await takeTurns([() => round(api), () => round(through)], {
		warmUp: 2,
		counted: 6,
	});
	await dispatcher.close();
	const at = (part: number, rounds: number[][]): number => {
		const sorted = rounds.flat().sort((a, b) => a - b);
		return sorted[Math.floor(sorted.length * part)] as number;
	};
	const [median, late] = [0.5, 0.99].map(part => at(part, proxied) - at(part, direct)) as [number, number];
	return {
		group: 'serve',
		name: 'added latency of one request at a time, beside undici alone',
		target: 'at most 0.5 ms at the median',
		measured: `${median.toFixed(2)} ms, ${late.toFixed(2)} ms at the 99th percentile`,
		ours: `${at(0.5, proxied).toFixed(2)} ms, ${at(0.99, proxied).toFixed(2)} ms`,
		theirs: `${at(0.5, direct).toFixed(2)} ms, ${at(0.99, direct).toFixed(2)} ms`,
		verdict: verdictOf(median <= 0.5),
		figures: {median, late},
	};
}

async function largeRow({large, pipe}: PeerAddresses, through: string, pid: number): Promise<Row> {
	const memory = (): number =>
		Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
	const download = async (url: string): Promise<number> => {
		const args = [
			'-sS',
			'-o',
			'/dev/null',
			'-w',
			'%{speed_download}',
			'-H',
			`X-Gatepass-Secret: ${secret}`,
			url,
		];
		return Number((await execute('curl', args)).stdout);
	};
	const before = memory();
	const [ours = [], direct = [], piped = []] = await takeTurns(
		[() => download(through), () => download(large), () => download(pipe)],
		{warmUp: 1, counted: 3},
	);
	const grown = memory() - before;
	const ratio = summarise(ours.map((rate, index) => rate / (direct[index] as number)));
	const toPipe = summarise(ours.map((rate, index) => rate / (piped[index] as number)));
	return {
		group: 'serve',
		name: 'download of 1 GiB',
		target: 'at least 0.7 x direct or 0.95 x a bare pipe, grown by under 100 MB',
		measured: `${spread(ratio)} x direct, ${spread(toPipe)} x a pipe, grown by ${grown.toFixed(0)} MB`,
		ours: `${count(summarise(ours).median / 1e6)} MB/s`,
		theirs: `${count(summarise(direct).median / 1e6)} MB/s direct, ${count(summarise(piped).median / 1e6)} MB/s by a pipe`,
		verdict: verdictOf((ratio.median >= 0.7 || toPipe.median >= 0.95) && grown < 100),
		figures: {ratio, toPipe, grown},
	};
}

/** The same program by `run` with a warm token, and with Kerberos of its own. */
async function pythonRow(): Promise<Row> {
	const folder = mkdtempSync(join(tmpdir(), 'gatepass-bench-'));
	const kdc = await startKdc();
	const apache = await startApacheNegotiate(kdc);
	const server = await startChild<ServerAddresses>('throughput-server.ts', null);
	try {
		const url = `http://localhost:${apache.ports.http}/negotiate/`;
		const {api, tokenEndpoint} = server.greeting;
		const env = {...process.env, ...environmentOf(kdc), KRB5CCNAME: await kdc.ticket()};
		const file = join(folder, 'gatepass.config.json');
		const options = {clientId: 'bench', clientSecret: 'secret', tokenEndpoint};
		const hostRules = [{match: new URL(api).origin, strategy: 'sso-client-credentials', options}];
		writeFileSync(file, JSON.stringify({cache: {url: 'memory:'}, hostRules}));
		const script = fileURLToPath(new URL('serve-requests.py', import.meta.url));
		const rate = async (command: string, args: readonly string[]): Promise<number> =>
			Number((await execute(command, args, {env})).stdout);
		const [ours = [], theirs = []] = await takeTurns(
			[
				() => rate(process.execPath, [main, 'run', '-c', file, '--', python, script, api, '300', 'plain']),
				() => rate(python, [script, url, '300', 'kerberos']),
			],
			{warmUp: 0, counted: 3},
		);
		const ratio = summarise(ours.map((one, index) => one / (theirs[index] as number)));
		return {
			group: 'serve',
			name: 'Python requests by run with a warm token, beside requests-kerberos',
			target: 'at least 1.5 x',
			measured: `${spread(ratio)} x`,
			ours: `${count(summarise(ours).median)}/s`,
			theirs: `${count(summarise(theirs).median)}/s`,
			verdict: verdictOf(ratio.median >= 1.5),
			figures: {ratio},
		};
	} finally {
		await Promise.all([apache.close(), server.child.close(), kdc.close()]);
		rmSync(folder, {recursive: true});
	}
}
