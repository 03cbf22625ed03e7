/** Debian's XRootD as a private process: a storage over https that takes client certificates and gives macaroons. */
import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {copyFile, mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {TestAuthority} from '../../src/testing/authority.ts';
import {findProgram, type RealServer} from './availability.ts';
import {startOnFreePort, stopProcess, untilSaid} from './process.ts';

export const xrootd: RealServer = {
	name: 'XRootD',
	install: 'apt-get install xrootd-server xrootd-server-plugins xrootd-plugins',
	whyUnavailable: () => (findProgram('xrootd') === undefined ? 'there is no program xrootd' : undefined),
};

export interface XrootdSettings {
	/** Vouches for the server and for its users. */
	readonly authority: TestAuthority;
	/** The subject, as the grid writes it, that everything below `/data` is allowed. */
	readonly user: string;
	/** What is below `/data`, by name. */
	readonly files: Readonly<Record<string, string>>;
}

export interface Xrootd {
	readonly url: string;
	close(): Promise<void>;
}

/** As root it does not run, and Debian's package has made it a user of its own. */
const ownUser = 'xrootd';

export async function startXrootd({authority, user, files}: XrootdSettings): Promise<Xrootd> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-xrootd-'));
	const place = (name: string): string => join(folder, name);
	const own = await authority.issue('xrootd', {subject: 'CN=xrootd', hosts: ['127.0.0.1']});
	await mkdir(place('root/data'), {recursive: true});
	await mkdir(place('admin'));
	await Promise.all([
		copyFile(own.certificate, place('host.pem')),
		copyFile(own.key, place('host.key')),
		copyFile(authority.ca, place('ca.pem')),
		// It counts the lines of base64.
		writeFile(
			place('secret'),
			`${randomBytes(48).toString('base64')}\n${randomBytes(16).toString('base64')}\n`,
		),
		writeFile(place('gridmap'), `"${user}" tester\n`),
		writeFile(place('authdb'), 'u tester /data a\n'),
		...Object.entries(files).map(([name, text]) => writeFile(place(`root/data/${name}`), text)),
	]);
	const isRoot = process.geteuid?.() === 0;
	if (isRoot) execFileSync('chown', ['-R', ownUser, folder]);
	const start = async (port: number): Promise<ChildProcess> => {
		await writeFile(place('xrootd.cfg'), configuration(folder, port));
		const options = ['-c', place('xrootd.cfg'), '-n', 'gatepass', ...(isRoot ? ['-R', ownUser] : [])];
		const server = spawn(findProgram('xrootd') ?? 'xrootd', options, {
			cwd: folder,
			stdio: ['ignore', 'ignore', 'pipe'],
		});
		await untilSaid(server, server.stderr, `:${port} initialization completed`);
		return server;
	};
	const [port, server] = await startOnFreePort(start);
	return {
		url: `https://127.0.0.1:${port}`,
		async close() {
			await stopProcess(server, 'SIGKILL');
			await rm(folder, {recursive: true, force: true});
		},
	};
}

function configuration(folder: string, port: number): string {
	return `
xrd.port ${port}
xrd.protocol http:${port} libXrdHttp.so
xrd.tls ${folder}/host.pem ${folder}/host.key
xrd.tlsca certfile ${folder}/ca.pem
all.export /data
all.adminpath ${folder}/admin
all.pidpath ${folder}/admin
all.sitename GATEPASS
oss.localroot ${folder}/root
http.exthandler xrdmacaroons libXrdMacaroons.so
http.header2cgi Authorization authz
http.gridmap ${folder}/gridmap
macaroons.secretkey ${folder}/secret
ofs.authorize 1
ofs.authlib libXrdMacaroons.so
acc.authdb ${folder}/authdb
`;
}
