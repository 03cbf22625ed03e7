/** Debian's nginx and Apache as private processes, with a configuration that the installers change. */
import {type ChildProcess, spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {mkdir, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {onTestFinished} from 'vitest';
import {startApache} from '../servers/apache-process.ts';
import {findProgram} from '../servers/availability.ts';
import {freePorts} from '../servers/free-port.ts';
import {stopProcess} from '../servers/process.ts';
import type {WebServerStage} from './web-server-stage.ts';

export interface Running {
	readonly configuration: string;
	readonly site: string;
	readonly httpPort: number;
	readonly httpsPort: number;
	readonly settings: {configuration: string; testCommand: string; reloadCommand: string; port: number};
}

export async function startNginx(
	stage: WebServerStage,
	siteOf: (http: number, https: number) => string,
): Promise<Running> {
	const {folder} = stage;
	await mkdir(join(folder, 'sites'));
	const [httpPort = 0, httpsPort = 0] = await freePorts(2);
	const site = join(folder, 'sites/site.conf');
	await writeFile(site, siteOf(httpPort, httpsPort));
	const configuration = join(folder, 'nginx.conf');
	const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
		name => `${name}_temp_path ${folder}/${name};`,
	);
	await writeFile(
		configuration,
		`# a comment with ; and { in it
daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events {}
http {
	access_log off;
	${temporary.join(' ')}
	include sites/*.conf;
}
`,
	);
	const program = findProgram('nginx') as string;
	const server: ChildProcess = spawn(program, ['-p', folder, '-c', configuration], {stdio: 'ignore'});
	onTestFinished(() => stopProcess(server, 'SIGTERM'));
	while (server.exitCode === null && !existsSync(join(folder, 'nginx.pid'))) await pause(20);
	const command = (what: string): string => `${program} ${what} -p ${folder} -c ${configuration}`;
	return {
		configuration,
		site,
		httpPort,
		httpsPort,
		settings: {
			configuration,
			port: httpsPort,
			testCommand: command('-t -q'),
			reloadCommand: command('-s reload'),
		},
	};
}

export const plainSite = (http: number): string => `server {
	listen 127.0.0.1:${http}; # by http alone
	server_name www.example.test "other.example.test";
	location / { default_type text/plain; return 200 "a { brace; in a string"; }
}
server { listen 127.0.0.1:${http}; server_name elsewhere.example.test; return 204; }
`;

const hosts = (http: number): string => `
<VirtualHost 127.0.0.1:${http}>
	ServerName www.example.test:${http}
	ServerAlias other.example.test
	# a comment
</VirtualHost>
<VirtualHost 127.0.0.1:${http}>
	ServerName elsewhere.example.test
</VirtualHost>
`;

export async function startApacheFor(stage: WebServerStage) {
	const {folder} = stage;
	await writeFile(join(folder, 'sites.conf'), '');
	const server = await startApache({
		folder,
		ports: 2,
		modules: ['mpm_event', 'authz_core', 'dir', 'alias', 'headers', 'socache_shmcb', 'ssl'],
		configure: ([http = 0]) => `
<Directory ${folder}/htdocs>
	Require all granted
</Directory>
${hosts(http)}`,
	});
	onTestFinished(() => server.stop());
	await writeFile(join(folder, 'htdocs/index.html'), 'served by Apache\n');
	const [httpPort = 0, httpsPort = 0] = server.ports;
	const configuration = join(folder, 'httpd.conf');
	const program = findProgram('apache2') as string;
	const settings = {
		configuration,
		port: httpsPort,
		testCommand: `${program} -t -f ${configuration}`,
		reloadCommand: `kill -USR1 $(cat ${folder}/httpd.pid)`,
	};
	return {httpPort, httpsPort, configuration, settings};
}
