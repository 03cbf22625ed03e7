/**
 * Debian's Ceph Object Gateway as private processes: a real S3 that verifies signatures, those of chunks among them. It
 * stands on a monitor and a store of objects that keeps them in memory.
 */
import {type ChildProcess, execFile, spawn} from 'node:child_process';
import {randomBytes, randomUUID} from 'node:crypto';
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {promisify} from 'node:util';
import {findProgram, type RealServer} from './availability.ts';
import {freePorts} from './free-port.ts';
import {stopProcess} from './process.ts';

const programs = ['ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin', 'ceph', 'monmaptool'];

export const radosgw: RealServer = {
	name: 'Ceph Object Gateway',
	install: 'apt-get install radosgw ceph-mon ceph-osd',
	whyUnavailable() {
		const missing = programs.find(program => findProgram(program) === undefined);
		return missing === undefined ? undefined : `there is no program ${missing}`;
	},
};

/** A key of S3. */
export interface S3Keys {
	readonly accessKeyId: string;
	readonly secretAccessKey: string;
}

export interface Radosgw {
	readonly url: string;
	/** The same, by a gateway that knows temporary keys: it answers no refusal with the reason. */
	readonly withSessions: string;
	/** Of the user `tester`, who may make buckets, and give users permissions. */
	readonly keys: S3Keys;
	close(): Promise<void>;
}

/** Milliseconds for the whole of it, on a machine that is busy. */
const startLimit = 110_000;

export async function startRadosgw(): Promise<Radosgw> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-rgw-'));
	const processes: ChildProcess[] = [];
	const close = async (): Promise<void> => {
		// The gateway first: it would wait for the others.
		for (const one of processes.toReversed()) await stopProcess(one, 'SIGKILL');
		await rm(folder, {recursive: true, force: true});
	};
	try {
		return {...(await start(folder, processes)), close};
	} catch (error) {
		await close();
		throw error;
	}
}

async function start(folder: string, processes: ChildProcess[]): Promise<Omit<Radosgw, 'close'>> {
	const signal = AbortSignal.timeout(startLimit);
	const [monitorPort = 0, port = 0, sessionsPort = 0] = await freePorts(3);
	const cluster = randomUUID();
	const file = join(folder, 'ceph.conf');
	await writeFile(file, configuration(folder, cluster, monitorPort));
	await Promise.all(['mon', 'osd', 'rgw'].map(name => mkdir(join(folder, name))));
	const run = async (program: string, ...given: string[]): Promise<string> => {
		const options = {signal, cwd: folder, env: {...process.env, CEPH_CONF: file}};
		return (await promisify(execFile)(findProgram(program) ?? program, given, options)).stdout;
	};
	const serve = (program: string, ...given: string[]): ChildProcess => {
		const child = spawn(findProgram(program) ?? program, [...given, '-c', file, '-f'], {
			cwd: folder,
			stdio: 'ignore',
		});
		processes.push(child);
		return child;
	};
	const map = join(folder, 'monmap');
	const store = randomUUID();
	await run('monmaptool', '--create', '--fsid', cluster, '--addv', 'a', `[v2:127.0.0.1:${monitorPort}]`, map);
	await run('ceph-mon', '--mkfs', '-i', 'a', '--monmap', map, '-c', file);
	serve('ceph-mon', '-i', 'a');
	await run('ceph', '-c', file, 'osd', 'new', store);
	await run('ceph-osd', '-i', '0', '-c', file, '--mkfs', '--osd-uuid', store);
	serve('ceph-osd', '-i', '0');
	const keys = {
		accessKeyId: `AK${randomBytes(8).toString('hex').toUpperCase()}`,
		secretAccessKey: randomBytes(30).toString('base64'),
	};
	// It waits until the store is there, and makes what the gateway keeps in it.
	await run(
		'radosgw-admin',
		...['-n', 'client.admin', '-c', file, 'user', 'create', '--uid=tester', '--display-name=Tester'],
		'--caps=user-policy=*',
		`--access-key=${keys.accessKeyId}`,
		`--secret-key=${keys.secretAccessKey}`,
	);
	// One after the other: both would make what they keep in the store.
	const gatewayOn = async (own: number, ...given: string[]): Promise<string> => {
		const frontend = `--rgw_frontends=beast endpoint=127.0.0.1:${own}`;
		const gateway = serve('radosgw', '-n', 'client.admin', frontend, ...given);
		const url = `http://127.0.0.1:${own}`;
		await untilAnswered(url, gateway, signal);
		return url;
	};
	const url = await gatewayOn(port);
	return {url, keys, withSessions: await gatewayOn(sessionsPort, '--rgw_s3_auth_use_sts=true')};
}

async function untilAnswered(url: string, gateway: ChildProcess, signal: AbortSignal): Promise<void> {
	for (;;) {
		signal.throwIfAborted();
		if (gateway.exitCode !== null) throw new Error(`radosgw ended with ${gateway.exitCode}`);
		const answer = await fetch(url).catch(() => undefined);
		await answer?.body?.cancel();
		if (answer?.ok === true) return;
		await pause(100);
	}
}

function configuration(folder: string, cluster: string, monitorPort: number): string {
	return `
[global]
fsid = ${cluster}
mon initial members = a
mon host = v2:127.0.0.1:${monitorPort}/0
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
auth supported = none
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
ms client mode = crc
ms cluster mode = crc
ms service mode = crc
run dir = ${folder}
admin socket =
pid file =
log file = ${folder}/$name.log
log to stderr = false
mon cluster log to file = false
mon data = ${folder}/mon
mon data avail crit = 0
mon data avail warn = 0
osd data = ${folder}/osd
rgw data = ${folder}/rgw
osd objectstore = memstore
memstore device bytes = 1073741824
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd crush initial weight = 1
mon allow pool size one = true
mon max pg per osd = 5000
rgw thread pool size = 8
rgw enable ops log = false
rgw enable usage log = false
rgw sts key = ${randomBytes(8).toString('hex')}
`;
}
