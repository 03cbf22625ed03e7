/** A web page in a real browser, which would use the proxy of whoever looks at it. */
import type {Browser, Page} from 'playwright-core';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {WebSocketServer} from 'ws';
import {describeWith} from '../servers/availability.ts';
import {chromium, launchChromium} from '../servers/chromium.ts';
import {type StartedProxy, type StartedServer, secret, startProxy, startServer} from './start-proxy.ts';

/**
 * All that a page can do without anybody's leave to send a request elsewhere. Run in the page; gives how many were sent.
 * Each goes to a path of its own.
 */
const attempts = `async base => {
	const tried = [];
	const settle = (name, start) => tried.push(Promise.race([
		new Promise(resolve => start(base + '/runs/' + name, resolve)),
		// Some never settle.
		new Promise(resolve => setTimeout(resolve, 3000)),
	]));
	const element = (tag, attribute) => settle(tag, (url, done) => {
		const made = document.createElement(tag);
		made.onload = made.onerror = done;
		if (tag === 'link') made.rel = 'stylesheet';
		made[attribute] = url;
		document.body.append(made);
	});
	for (const tag of ['img', 'script', 'iframe', 'video']) element(tag, 'src');
	element('link', 'href');
	element('object', 'data');
	const ask = (name, settings) => settle(name, (url, done) => fetch(url, settings).then(done, done));
	ask('fetch-simple', {mode: 'no-cors', credentials: 'include'});
	ask('fetch-post', {mode: 'no-cors', credentials: 'include', method: 'POST', body: '{}'});
	ask('fetch-cors', {credentials: 'include'});
	ask('fetch-preflight', {method: 'DELETE', headers: {'x-own': '1'}});
	settle('xhr', (url, done) => {
		const request = new XMLHttpRequest();
		request.onloadend = done;
		request.open('GET', url);
		request.send();
	});
	settle('events', (url, done) => {
		const source = new EventSource(url);
		source.onopen = source.onerror = () => { source.close(); done(); };
	});
	settle('socket', (url, done) => {
		const socket = new WebSocket(url.replace('http', 'ws'));
		socket.onopen = socket.onclose = done;
	});
	settle('beacon', (url, done) => { navigator.sendBeacon(url, 'text'); setTimeout(done, 300); });
	for (const method of ['GET', 'POST']) settle('form-' + method, (url, done) => {
		const frame = document.createElement('iframe');
		frame.name = 'frame-' + method;
		const form = document.createElement('form');
		Object.assign(form, {action: url, method, target: frame.name, enctype: 'text/plain'});
		document.body.append(frame, form);
		frame.onload = done;
		form.submit();
	});
	await Promise.all(tried);
	return tried.length;
}`;

describeWith(chromium, 'a web page', () => {
	let browser: Browser;
	/** Behind the proxy: it must not be asked for anything. */
	let victim: StartedServer;
	let sockets: WebSocketServer;
	let upgrades: number;
	/** Where the page comes from. */
	let site: StartedServer;
	const proxies: Record<string, StartedProxy> = {};

	beforeAll(async () => {
		victim = await startServer((_request, response) => response.end('private'));
		upgrades = 0;
		sockets = new WebSocketServer({noServer: true});
		victim.server.on('upgrade', (request, socket, head) => {
			upgrades += 1;
			sockets.handleUpgrade(request, socket, head, () => {});
		});
		site = await startServer((_request, response) =>
			response.writeHead(200, {'content-type': 'text/html'}).end('<body>a page'),
		);
		const configuration = {
			hostRules: [{match: victim.origin, strategy: 'static-token', options: {token: 'the-token'}}],
			serve: {forward: true, routes: {'/runs': victim.origin}},
		};
		proxies.secret = await startProxy(configuration);
		proxies.open = await startProxy(
			{...configuration, serve: {...configuration.serve, allowLocalUsers: true}},
			{withSecret: false},
		);
		browser = await launchChromium(
			// Each of these names is this machine, as whoever owns a name can say of it at any time.
			'--host-resolver-rules=MAP *.test 127.0.0.1',
			// Newer browsers keep pages from this machine by themselves; not all do, and not in every case.
			'--disable-features=BlockInsecurePrivateNetworkRequests,LocalNetworkAccessChecks,PrivateNetworkAccessSendPreflights',
		);
	});
	afterAll(async () => {
		await browser?.close();
		sockets?.close();
		for (const proxy of Object.values(proxies)) await proxy.close();
		await victim?.close();
		await site?.close();
	});

	/** A page of `host`, in a browser that has shown the secret to the proxy before: it sends it again by itself. */
	async function openPage(host: string, proxy: StartedProxy): Promise<Page> {
		const context = await browser.newContext({httpCredentials: {username: 'me', password: secret}});
		const page = await context.newPage();
		await page.goto(`${proxy.url}/-/`);
		await page.goto(`http://${host}:${site.port}/`);
		return page;
	}

	/** What came to the proxy for its route, after so many other lines. */
	const linesOf = (proxy: StartedProxy, before: number) =>
		proxy
			.lines()
			.slice(before)
			.filter(({target}) => String(target).startsWith('/runs/'));

	describe.each(['secret', 'open'])('where the proxy is %s', kind => {
		it.each([
			['evil.test', 'of another site'],
			['127.0.0.1', 'of another port of the same host'],
			['localhost', 'of another name of this machine'],
		])('%s: a page %s gets nothing by simple requests, frames, forms and sockets', async host => {
			const proxy = proxies[kind] as StartedProxy;
			const page = await openPage(host, proxy);
			const before = proxy.lines().length;
			const sent = (await page.evaluate(`(${attempts})(${JSON.stringify(proxy.url)})`)) as number;
			const popup = page.context().waitForEvent('page');
			await page.evaluate(`void window.open(${JSON.stringify(`${proxy.url}/runs/popup`)})`);
			await (await popup).waitForLoadState();
			const lines = () => linesOf(proxy, before);
			// All of them came, and none went further.
			await expect.poll(() => new Set(lines().map(({target}) => target)).size).toBe(sent + 1);
			for (const {status, code} of lines()) expect([403, 'origin-foreign']).toEqual([status, code]);
			expect([victim.requests.length, upgrades]).toEqual([0, 0]);
			await page.context().close();
		});

		it('a name that becomes this machine while the page is open reaches nothing', async () => {
			const proxy = proxies[kind] as StartedProxy;
			const context = await browser.newContext({httpCredentials: {username: 'me', password: secret}});
			const page = await context.newPage();
			// The page and the proxy have one origin for the browser: it hides nothing from the page.
			await page.route('**/page', route => route.fulfill({contentType: 'text/html', body: '<body>a page'}));
			await page.goto(`http://rebound.test:${proxy.port}/page`);
			const answers = (await page.evaluate(`(async () => {
				const answers = [];
				for (const path of ['/runs/x', '/-/', '/-/status.json', '/-/health']) {
					const response = await fetch(path);
					answers.push([response.status, (await response.json()).code]);
				}
				answers.push(await new Promise(resolve => {
					const socket = new WebSocket('ws://' + location.host + '/runs/x');
					socket.onopen = () => resolve('open');
					socket.onclose = () => resolve('closed');
				}));
				return answers;
			})()`)) as unknown[];
			const refused = [421, 'host-unknown'];
			expect(answers).toEqual([refused, refused, refused, refused, 'closed']);
			expect([victim.requests.length, upgrades]).toEqual([0, 0]);
			await context.close();
		});
	});

	it('the port at which this user needs no secret is of no use to a page in the browser of this user', async () => {
		const proxy = proxies.secret as StartedProxy;
		const port = await proxy.proxy.listenForOwner();
		const page = await openPage('evil.test', proxy);
		const before = proxy.lines().length;
		const sent = (await page.evaluate(`(${attempts})('http://127.0.0.1:${port}')`)) as number;
		await page.goto(`http://rebound.test:${port}/runs/x`);
		const lines = () => linesOf(proxy, before);
		await expect.poll(() => new Set(lines().map(({target}) => target)).size).toBe(sent + 1);
		for (const {status, code} of lines()) expect([421, 'host-unknown']).toEqual([status, code]);
		expect([victim.requests.length, upgrades]).toEqual([0, 0]);
		await page.context().close();
	});

	it('a frame shows no page of the proxy to a page that would have it clicked', async () => {
		const proxy = proxies.secret as StartedProxy;
		const page = await openPage('evil.test', proxy);
		await page.setContent(`<iframe src="${proxy.url}/-/"></iframe>`);
		const frame = page.frames().at(-1);
		await frame?.waitForLoadState();
		expect(await frame?.content()).toContain('origin-foreign');
		await page.context().close();
	});

	it('the program beside the browser is served meanwhile', async () => {
		const {url} = proxies.open as StartedProxy;
		expect(await (await fetch(`${url}/runs/x`)).text()).toBe('private');
		victim.requests.pop();
	});
});
