/** The status page in a real browser. With GATEPASS_SCREENSHOTS=1 it writes the pictures of docs/serve.md. */
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {Browser} from 'playwright-core';
import {afterAll, beforeAll, expect, it} from 'vitest';
import {describeWith} from '../servers/availability.ts';
import {chromium, launchChromium} from '../servers/chromium.ts';
import {type StartedProxy, type StartedServer, secret, startProxy, startServer} from './start-proxy.ts';

const pictures = new URL('../../docs/images/', import.meta.url).pathname;

describeWith(chromium, 'the status page', () => {
	let browser: Browser;
	let folder: string;
	let server: StartedServer;
	let proxy: StartedProxy;

	beforeAll(async () => {
		browser = await launchChromium();
		server = await startServer((request, response) => {
			if (request.url === '/forbidden') response.statusCode = 403;
			response.end();
		});
		folder = mkdtempSync(join(tmpdir(), 'gatepass-page-'));
		const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
		const exp = Math.floor(Date.now() / 1000) + 5 * 3600;
		writeFileSync(join(folder, 'token'), `${part({alg: 'none'})}.${part({exp, sub: 'alice'})}.x`, {
			mode: 0o600,
		});
		proxy = await startProxy({
			hostRules: [
				{match: `http://127.0.0.1:${server.port}`, strategy: 'static-token', options: {token: 'the-token'}},
				{match: 'https://eos.example.org', strategy: 'wlcg-token', options: {file: join(folder, 'token')}},
				{
					match: 'https://storage.example.org',
					strategy: 'wlcg-token',
					options: {file: '/run/user/1000/bt_u1000'},
				},
			],
			serve: {forward: true, routes: {'/runs': server.origin}},
		});
		const headers = {'x-gatepass-secret': secret};
		for (const path of ['/agg/api/v1', '/agg/api/v1/runs', '/forbidden', '/%3Cb%3Ex%3Cscript%3E']) {
			await (await fetch(`${proxy.url}/runs${path}`, {headers})).text();
		}
		proxy.proxy.activity.warn('The certificate of CN=Robot: <b>runs</b> expires in less than 10 days');
	});
	afterAll(async () => {
		await browser?.close();
		await proxy?.close();
		await server?.close();
		rmSync(folder, {recursive: true, force: true});
	});

	it.each([
		['status-page', 1200, 900, 'light'],
		['status-page-dark', 1200, 900, 'dark'],
		['status-page-phone', 390, 844, 'dark'],
	] as const)('%s', async (name, width, height, colorScheme) => {
		const context = await browser.newContext({
			viewport: {width, height},
			colorScheme,
			httpCredentials: {username: 'me', password: secret},
			reducedMotion: 'reduce',
		});
		context.setDefaultTimeout(8000);
		const page = await context.newPage();
		const faults: string[] = [];
		const asked: string[] = [];
		page.on('console', message => message.type() === 'error' && faults.push(message.text()));
		page.on('pageerror', error => faults.push(error.message));
		page.on('request', request => asked.push(request.url()));
		await page.goto(`${proxy.url}/-/`);
		await page.getByText('Something needs attention').waitFor();
		// The first request, without the secret, is refused: browsers ask before they show it.
		expect(faults.filter(fault => !/401/.test(fault))).toEqual([]);
		expect(asked.filter(url => !url.startsWith(proxy.url) && !url.startsWith('data:'))).toEqual([]);
		await page.getByText('/run/user/1000/bt_u1000').first().waitFor();
		expect(await page.locator('#expiry li').innerText()).toMatch(/eos\.example\.org\s+in 5 hours/);
		expect(await page.locator('#hops tbody tr').count()).toBe(4);
		expect(await page.locator('#warnings li').innerText()).toContain('<b>runs</b>');
		expect(await page.locator('main b, main script, main img').count()).toBe(0);
		expect(await page.content()).not.toContain('the-token');
		expect(await page.content()).not.toContain(secret);
		// On a phone nothing but the table's own frame is wider than the screen.
		expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
		const contrast = await page.evaluate(`(() => {
			const light = c => { const [r, g, b] = c.match(/\\d+/g).map(v => { const s = v / 255; return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
			const paper = light(getComputedStyle(document.body).backgroundColor);
			return Math.min(...[...document.querySelectorAll('p, span, td, time, h2, dt')].map(node => { const ink = light(getComputedStyle(node).color); return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05); }));
		})()`);
		expect(contrast).toBeGreaterThan(4.5);
		if (process.env.GATEPASS_SCREENSHOTS === '1' && name !== 'status-page-dark') {
			mkdirSync(pictures, {recursive: true});
			await page.screenshot({path: `${pictures}${name}.png`, fullPage: true});
		}
		// Live: what happens meanwhile appears by itself.
		await fetch(`${proxy.url}/runs/just-now`, {headers: {'x-gatepass-secret': secret}});
		await page.getByText('/just-now').waitFor();
		await context.close();
		proxy.proxy.activity.hops.shift();
	});
});
