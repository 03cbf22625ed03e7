/** Runs Debian's Apache as a private process on free ports, with a configuration of the caller's. */
import {type ChildProcess, spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {mkdir, readFile, rm, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {findProgram} from './availability.ts';
import {freePorts} from './free-port.ts';
import {stopProcess} from './process.ts';

const modules = '/usr/lib/apache2/modules';

export interface ApacheSettings {
	/** Holds all of its files; the pages are in `htdocs`. Started by root, Apache serves as another user, who must be able to read them. */
	readonly folder: string;
	/** How many ports it is to listen on. */
	readonly ports: number;
	/** The names of its modules, in the order in which they are loaded. */
	readonly modules: readonly string[];
	/** A line of access.log. Default: status and path, `%s %U`. */
	readonly logFormat?: string;
	/** What follows on the general part: `Listen` and the modules are written already. */
	configure(ports: readonly number[]): string;
	readonly env?: Readonly<Record<string, string>>;
}

export interface ApacheProcess {
	readonly ports: readonly number[];
	/** The text of a log so far: `error.log`, `access.log`. */
	log(name: string): Promise<string>;
	/** End it. The folder stays. */
	stop(): Promise<void>;
}

/** Why Apache with these modules cannot run here; `undefined`: it can. */
export function whyNoApache(...names: readonly string[]): string | undefined {
	if (findProgram('apache2') === undefined) return 'there is no program apache2';
	if (findProgram('openssl') === undefined)
		return 'there is no program openssl, which makes its certificates';
	const missing = names.find(name => !existsSync(moduleFile(name)));
	return missing === undefined ? undefined : `there is no module mod_${missing}`;
}

/** Apache cannot be asked to choose a port, and one that was free may be taken by the time it starts. */
export async function startApache(settings: ApacheSettings): Promise<ApacheProcess> {
	const {folder, env} = settings;
	const configuration = join(folder, 'httpd.conf');
	await mkdir(join(folder, 'htdocs'), {recursive: true});
	for (let attempt = 1; ; attempt++) {
		const ports = await freePorts(settings.ports);
		await writeFile(configuration, generalPart(settings, ports) + settings.configure(ports));
		const server = spawn(findProgram('apache2') as string, ['-f', configuration, '-DFOREGROUND'], {
			stdio: ['ignore', 'ignore', 'pipe'],
			env: {...process.env, ...env},
		});
		let complaint = '';
		server.stderr?.on('data', chunk => {
			complaint += chunk;
		});
		const log = (name: string): Promise<string> => readFile(join(folder, name), 'utf8');
		try {
			await untilListening(folder, server);
			return {ports, log, stop: () => stopProcess(server, 'SIGTERM')};
		} catch (error) {
			await stopProcess(server, 'SIGTERM');
			await rm(join(folder, 'httpd.pid'), {force: true});
			if (!complaint.includes('Address already in use') || attempt === 5) {
				throw new Error(`Apache did not start:\n${complaint}${await log('error.log').catch(() => '')}`, {
					cause: error,
				});
			}
		}
	}
}

function generalPart(
	{folder, modules: names, logFormat = '%s %U'}: ApacheSettings,
	ports: readonly number[],
): string {
	return `
ServerRoot ${folder}
ServerName localhost
PidFile ${folder}/httpd.pid
DefaultRuntimeDir ${folder}
Mutex file:${folder} default
${ports.map(port => `Listen 127.0.0.1:${port}`).join('\n')}
User www-data
Group www-data
ErrorLog ${folder}/error.log
CustomLog ${folder}/access.log "${logFormat}"
# Else the kernel holds each connection back until its first bytes come (TCP_DEFER_ACCEPT), and where a busy client
# is late with them, it takes up to a minute until it takes them.
AcceptFilter http none
AcceptFilter https none
KeepAliveTimeout 30
MaxKeepAliveRequests 0
${names.map(name => `LoadModule ${name}_module ${moduleFile(name)}`).join('\n')}
DocumentRoot ${folder}/htdocs
`;
}

function moduleFile(name: string): string {
	return `${modules}/mod_${name}.so`;
}

/** Apache writes its pid once it listens on every port. */
async function untilListening(folder: string, server: ChildProcess): Promise<void> {
	const deadline = Date.now() + 90_000;
	while (server.exitCode === null && server.signalCode === null && Date.now() < deadline) {
		if (existsSync(join(folder, 'httpd.pid'))) return;
		await pause(20);
	}
	throw new Error('Apache ended, or did not listen in time');
}
