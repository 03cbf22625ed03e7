/** certbot's installers and ours at the same web server: each finds the other at it, and leaves it alone until then. */
import {existsSync} from 'node:fs';
import {chmod, mkdir, readFile, rm, writeFile} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {expect, test} from 'vitest';
import {apacheInstaller} from '../../src/installers/apache.ts';
import type {DeployedLineage, Installer} from '../../src/installers/installer.ts';
import {nginxInstaller} from '../../src/installers/nginx.ts';
import type {WebServerSettings} from '../../src/installers/web-server.ts';
import {apache} from '../servers/apache.ts';
import {describeWith, findProgram} from '../servers/availability.ts';
import {certbot, certbotInstallers, runCertbot} from '../servers/certbot.ts';
import {nginx} from '../servers/nginx.ts';
import {plainSite, startApacheFor, startNginx} from './running-servers.ts';
import {visit, type WebServerStage, webServerStage} from './web-server-stage.ts';

interface Setup {
	readonly httpsPort: number;
	/** The file that the installers change. */
	readonly site: string;
	readonly settings: WebServerSettings & {readonly testCommand: string};
	installer(settings: WebServerSettings): Installer;
	/** certbot's options, with this program in the place of the server's. */
	options(program: string): string[];
	/** Runs the server's program on what is in `$@`. */
	readonly command: string;
	/** By which of its parameters certbot reloads the server. */
	readonly reload: string;
}

const kinds: Readonly<Record<string, (stage: WebServerStage) => Promise<Setup>>> = {
	async nginx(stage) {
		const {site, settings, httpsPort, configuration} = await startNginx(stage, plainSite);
		return {
			httpsPort,
			site,
			settings,
			installer: wanted => nginxInstaller(wanted, stage.checkpoints),
			options: program => [
				...['--nginx', '--nginx-server-root', dirname(configuration), '--nginx-ctl', program],
				...['--nginx-sleep-seconds', '0', '--https-port', String(httpsPort)],
			],
			command: `exec ${findProgram('nginx')} -p ${dirname(configuration)} "$@"`,
			reload: '-s reload',
		};
	},
	async apache(stage) {
		const {settings, httpsPort, configuration} = await startApacheFor(stage);
		const program = findProgram('apache2');
		// certbot reads all that is in there.
		const vhosts = join(stage.folder, 'vhosts');
		await mkdir(vhosts);
		await writeFile(join(vhosts, 'none.conf'), '');
		return {
			httpsPort,
			site: configuration,
			settings,
			installer: wanted => apacheInstaller(wanted, stage.checkpoints),
			options: wrapper => [
				...['--apache', '--apache-server-root', dirname(configuration), '--apache-ctl', wrapper],
				...['--apache-bin', program ?? '', '--apache-vhost-root', vhosts],
				...['--apache-handle-modules', 'false', '--apache-handle-sites', 'false'],
				...['--https-port', String(httpsPort)],
			],
			command: `case "$1" in
	graceful) ${settings.reloadCommand};;
	configtest) exec ${settings.testCommand};;
	*) exec ${program} -f ${configuration} "$@";;
esac`,
			reload: 'graceful',
		};
	},
};

/** Shell that says it is here, and goes on when it may, or when the test is over. */
function waitingAt(place: string): string {
	return `touch ${place}.reached; while [ -e ${place}.reached ] && [ ! -e ${place}.go ]; do sleep 0.02; done`;
}

const reached = (place: string) => expect.poll(() => existsSync(`${place}.reached`)).toBe(true);

describeWith([nginx, apache, certbot, ...certbotInstallers], 'beside certbot', () => {
	test.each(Object.keys(kinds))(
		'%s',
		async kind => {
			const stage = await webServerStage();
			const setup = await (kinds[kind] as (typeof kinds)[string])(stage);
			const lineage = await stage.lineage('www', ['www.example.test']);
			const place = join(stage.folder, 'waiting');
			const program = join(stage.folder, 'control.sh');
			await writeFile(
				program,
				`#!/bin/sh
case "$*" in *'${setup.reload}'*) [ -e ${place}.certbot ] && { ${waitingAt(place)}; };; esac
${setup.command}
`,
			);
			await chmod(program, 0o755);
			const runInstall = (): Promise<string> => certbotInstall(stage, lineage, setup.options(program));

			// Ours is at it.
			const before = await readFile(setup.site, 'utf8');
			const testCommand = `${waitingAt(place)}; ${setup.settings.testCommand}`;
			const deploying = setup.installer({...setup.settings, testCommand}).deploy(lineage);
			await reached(place);
			const ours = await readFile(setup.site, 'utf8');
			expect(ours).not.toBe(before);
			await expect(runInstall()).rejects.toThrow(/Unable to (?:lock|create a lock file in) /);
			expect(await readFile(setup.site, 'utf8')).toBe(ours);
			await writeFile(`${place}.go`, '');
			await deploying;
			await expect.poll(() => shown(setup.httpsPort)).toBe(lineage.serialNumber);

			// certbot is.
			await stage.checkpoints.rollback(1);
			await writeFile(`${place}.certbot`, '');
			for (const end of ['go', 'reached']) await rm(`${place}.${end}`);
			const installing = runInstall();
			await Promise.race([reached(place), installing]);
			const theirs = await readFile(setup.site, 'utf8');
			const second = await stage.lineage('second', ['www.example.test']);
			await expect(setup.installer(setup.settings).deploy(second)).rejects.toMatchObject({
				diagnostics: [{code: 'lineage-locked'}],
			});
			expect(await readFile(setup.site, 'utf8')).toBe(theirs);
			await writeFile(`${place}.go`, '');
			expect(await installing).toMatch(/Successfully deployed certificate/);

			// And then ours again, over what certbot made of it.
			await setup.installer(setup.settings).deploy(second);
			await expect.poll(() => shown(setup.httpsPort)).toBe(second.serialNumber);
		},
		120_000,
	);
});

async function certbotInstall(
	stage: WebServerStage,
	{domains, paths}: DeployedLineage,
	options: readonly string[],
): Promise<string> {
	return runCertbot(
		join(stage.folder, 'letsencrypt'),
		paths.chain,
		...['install', ...options, ...domains.flatMap(domain => ['-d', domain])],
		...['--cert-path', paths.cert, '--key-path', paths.privkey],
		...['--chain-path', paths.chain, '--fullchain-path', paths.fullchain, '--no-redirect'],
	);
}

function shown(port: number): Promise<string | undefined> {
	return visit('https', port, 'www.example.test').then(
		({serialNumber}) => serialNumber,
		() => '',
	);
}
