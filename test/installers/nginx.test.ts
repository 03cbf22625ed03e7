/** Debian's nginx with certificates of ours: what it shows, and what is there after a failure. */
import {readFile, writeFile} from 'node:fs/promises';
import {describe, expect, test} from 'vitest';
import {nginxInstaller} from '../../src/installers/nginx.ts';
import {parseNginx} from '../../src/installers/nginx-configuration.ts';
import {describeWith} from '../servers/availability.ts';
import {nginx} from '../servers/nginx.ts';
import {plainSite, startNginx} from './running-servers.ts';
import {visit, webServerStage} from './web-server-stage.ts';

describeWith(nginx, 'nginx', () => {
	test('shows a certificate where it had none, and the renewed one after a reload', async () => {
		const stage = await webServerStage();
		const server = await startNginx(stage, plainSite);
		const installer = nginxInstaller(server.settings, stage.checkpoints);
		const lineage = await stage.lineage('www', ['www.example.test', 'other.example.test']);
		await installer.deploy(lineage);
		await expect
			.poll(() =>
				visit('https', server.httpsPort, 'www.example.test').then(
					({serialNumber}) => serialNumber,
					() => '',
				),
			)
			.toBe(lineage.serialNumber);
		const text = await readFile(server.site, 'utf8');
		expect(text).toContain(`\tssl_certificate ${lineage.paths.fullchain};\n`);
		// Nothing else was touched.
		expect(
			text
				.split('\n')
				.filter(line => !/ssl/.test(line))
				.join('\n'),
		).toBe(plainSite(server.httpPort));
		const renewed = await stage.lineage('www', ['www.example.test', 'other.example.test']);
		await installer.deploy(renewed);
		await expect
			.poll(() =>
				visit('https', server.httpsPort, 'www.example.test').then(
					({serialNumber}) => serialNumber,
					() => '',
				),
			)
			.toBe(renewed.serialNumber);
		// The paths are the same, so there was nothing to change.
		expect(await stage.checkpoints.history()).toHaveLength(1);
		await stage.checkpoints.rollback(1);
		expect(await readFile(server.site, 'utf8')).toBe(plainSite(server.httpPort));
	});

	test('redirects and announces https, once', async () => {
		const stage = await webServerStage();
		const server = await startNginx(stage, plainSite);
		const installer = nginxInstaller(server.settings, stage.checkpoints);
		const lineage = await stage.lineage('www', ['www.example.test']);
		await installer.deploy(lineage);
		const enhance = () =>
			installer.enhance(lineage, {redirect: true, hsts: true, headers: {'X-Frame-Options': 'DENY'}});
		await enhance();
		await expect
			.poll(() => visit('http', server.httpPort, 'www.example.test').then(({status}) => status))
			.toBe(301);
		// A worker from before the reload may answer for a moment.
		await expect
			.poll(() => visit('https', server.httpsPort, 'www.example.test').then(({headers}) => headers))
			.toMatchObject({'strict-transport-security': 'max-age=31536000', 'x-frame-options': 'DENY'});
		const text = await readFile(server.site, 'utf8');
		await enhance();
		expect(await readFile(server.site, 'utf8')).toBe(text);
		await expect
			.poll(() => visit('http', server.httpPort, 'elsewhere.example.test').then(({status}) => status))
			.toBe(204);
	});

	test('a configuration that nginx refuses is taken back', async () => {
		const stage = await webServerStage();
		const server = await startNginx(stage, plainSite);
		const installer = nginxInstaller(server.settings, stage.checkpoints);
		const lineage = await stage.lineage('www', ['www.example.test']);
		const broken = plainSite(server.httpPort).replace(
			'server_name www',
			'ssl_protocols nonsense; server_name www',
		);
		await writeFile(server.site, broken);
		await expect(installer.deploy(lineage)).rejects.toThrow(
			/nginx: deploy www failed: .*from before is restored/s,
		);
		expect(await readFile(server.site, 'utf8')).toBe(broken);
		expect((await visit('http', server.httpPort, 'www.example.test')).status).toBe(200);
		expect(await stage.checkpoints.history()).toEqual([]);
		await writeFile(lineage.paths.fullchain, 'no certificate');
		await expect(installer.deploy(lineage)).rejects.toThrow(/are not a certificate and its key/);
	});

	test('names that no server has are told', async () => {
		const stage = await webServerStage();
		const server = await startNginx(stage, plainSite);
		const lineage = await stage.lineage('none', ['none.example.test']);
		await expect(nginxInstaller(server.settings, stage.checkpoints).deploy(lineage)).rejects.toThrow(
			/No part of nginx's configuration .* is for none\.example\.test/,
		);
	});

	test('stapling is refused where the authority has no OCSP', async () => {
		const stage = await webServerStage();
		const server = await startNginx(stage, plainSite);
		const lineage = await stage.lineage('www', ['www.example.test']);
		await expect(
			nginxInstaller(server.settings, stage.checkpoints).enhance(lineage, {stapling: true}),
		).rejects.toThrow(/names no OCSP server in this certificate/);
	});
});

describe('what is no configuration', () => {
	test.each([
		['server {', /x:1: a block is not closed/],
		['a b;\nserver { listen 80 }', /x:2: a directive is not finished/],
		['}', /x:1: a brace closes nothing/],
		['a "b;', /x:1: a quotation is not closed/],
		['a { '.repeat(30), /nested too deep/],
	])('%s', (text, message) => {
		expect(() => parseNginx(text, 'x')).toThrow(message);
	});
});
