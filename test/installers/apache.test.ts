/** Debian's Apache with certificates of ours: what it shows, and what is there after a failure. */
import {readFile, writeFile} from 'node:fs/promises';
import {expect, test} from 'vitest';
import {apacheInstaller} from '../../src/installers/apache.ts';
import {apache} from '../servers/apache.ts';
import {describeWith} from '../servers/availability.ts';
import {startApacheFor} from './running-servers.ts';
import {visit, webServerStage} from './web-server-stage.ts';

const shown = (port: number, name: string): Promise<string | undefined> =>
	visit('https', port, name).then(
		({serialNumber}) => serialNumber,
		() => '',
	);

describeWith(apache, 'Apache', () => {
	test('shows a certificate where it had none, redirects, and goes back', async () => {
		const stage = await webServerStage();
		const server = await startApacheFor(stage);
		const before = await readFile(server.configuration, 'utf8');
		const installer = apacheInstaller(server.settings, stage.checkpoints);
		const lineage = await stage.lineage('www', ['www.example.test', 'other.example.test']);
		await installer.deploy(lineage);
		await expect.poll(() => shown(server.httpsPort, 'other.example.test')).toBe(lineage.serialNumber);
		await installer.enhance(lineage, {redirect: true, hsts: true});
		await expect
			.poll(() =>
				visit('http', server.httpPort, 'www.example.test').then(
					({headers}) => headers.location,
					() => '',
				),
			)
			.toBe('https://www.example.test/');
		// A worker from before the reload may answer for a moment.
		await expect
			.poll(() => visit('https', server.httpsPort, 'www.example.test').then(({headers}) => headers))
			.toMatchObject({'strict-transport-security': 'max-age=31536000'});
		const text = await readFile(server.configuration, 'utf8');
		await installer.enhance(lineage, {redirect: true, hsts: true});
		expect(await readFile(server.configuration, 'utf8')).toBe(text);
		expect((await visit('http', server.httpPort, 'elsewhere.example.test')).status).toBe(200);
		await stage.checkpoints.rollback(2);
		expect(await readFile(server.configuration, 'utf8')).toBe(before);
	});

	test('another certificate takes the place of the first', async () => {
		const stage = await webServerStage();
		const server = await startApacheFor(stage);
		const installer = apacheInstaller(server.settings, stage.checkpoints);
		await installer.deploy(await stage.lineage('first', ['www.example.test']));
		const second = await stage.lineage('second', ['www.example.test']);
		await installer.deploy(second);
		await expect.poll(() => shown(server.httpsPort, 'www.example.test')).toBe(second.serialNumber);
	});

	test('a configuration that Apache refuses is taken back', async () => {
		const stage = await webServerStage();
		const server = await startApacheFor(stage);
		const before = await readFile(server.configuration, 'utf8');
		const lineage = await stage.lineage('www', ['www.example.test']);
		const installer = apacheInstaller(server.settings, stage.checkpoints);
		await installer.deploy(lineage);
		const deployed = await readFile(server.configuration, 'utf8');
		await expect(installer.enhance(lineage, {headers: {'no header name': 'x'}})).rejects.toThrow(
			/apache: enhance www\.example\.test failed: .*is restored/s,
		);
		expect(await readFile(server.configuration, 'utf8')).toBe(deployed);
		expect((await visit('http', server.httpPort, 'www.example.test')).status).toBe(200);
		await stage.checkpoints.rollback(1);
		expect(await readFile(server.configuration, 'utf8')).toBe(before);
		// Apache's own test passes over it, and the reload would end Apache.
		await writeFile(lineage.paths.fullchain, 'no certificate');
		await expect(installer.deploy(lineage)).rejects.toThrow(
			/are not a certificate and its key\. Nothing was changed/,
		);
		const nobody = await stage.lineage('none', ['none.example.test']);
		await expect(installer.deploy(nobody)).rejects.toThrow(/is for none\.example\.test/);
	});
});
