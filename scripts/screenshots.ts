/**
 * Takes the screenshots of the documentation again, with the system's Chromium: the site as it was built, and the program
 * in a terminal. Run by hand, after `npm run build` and `npm run site`; CHROMIUM names another browser.
 */
import {execFile} from 'node:child_process';
import {readFile} from 'node:fs/promises';
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {extname, join, normalize} from 'node:path';
import {promisify} from 'node:util';
import {type Browser, chromium} from 'playwright-core';
import {escapeText} from './pictures/svg.ts';

const root = join(import.meta.dirname, '..');
const images = join(root, 'docs/images');

const types: Readonly<Record<string, string>> = {
	'.html': 'text/html',
	'.js': 'text/javascript',
	'.css': 'text/css',
	'.svg': 'image/svg+xml',
};

/** The built site, on a port of this machine. */
async function serveSite() {
	const server = createServer(async (request, response) => {
		const {pathname} = new URL(request.url ?? '/', 'http://localhost');
		const file = join(root, 'dist-site', normalize(pathname.replace(/\/$/, '/index.html')));
		try {
			const content = await readFile(file);
			response.writeHead(200, {'content-type': types[extname(file)] ?? 'application/octet-stream'});
			response.end(content);
		} catch {
			response.writeHead(404).end();
		}
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	const {port} = server.address() as AddressInfo;
	return {url: `http://127.0.0.1:${port}`, close: () => server.close()};
}

async function takeStart(browser: Browser, site: string): Promise<void> {
	const page = await browser.newPage({viewport: {width: 1280, height: 800}, colorScheme: 'light'});
	await page.goto(`${site}/`, {waitUntil: 'networkidle'});
	await page.screenshot({path: join(images, 'site-start.png')});
	await page.close();
}

/** A phone at night, looking for a code. */
async function takeSearch(browser: Browser, site: string): Promise<void> {
	const page = await browser.newPage({viewport: {width: 390, height: 720}, colorScheme: 'dark'});
	await page.goto(`${site}/diagnostics/`, {waitUntil: 'networkidle'});
	await page.click('.VPNavBarSearch button');
	await page.fill('#localsearch-input', 'clock ahead');
	await page.waitForSelector('.VPLocalSearchBox .result');
	await page.screenshot({path: join(images, 'site-search.png')});
	await page.close();
}

async function takeTerminal(browser: Browser): Promise<void> {
	const parameters = ['-c', 'host-rules.yaml', 'explain', 'https://api.example.org/agg/x'];
	const program = `node ../../dist/src/cli/main.js ${parameters.join(' ')}`;
	// A terminal of 80 columns, as the program shows colours to a terminal alone.
	const {stdout} = await promisify(execFile)('script', ['-qec', `stty cols 80; ${program}`, '/dev/null'], {
		cwd: join(root, 'docs/examples'),
		env: {...process.env, API_TOKEN: 'for the picture', TERM: 'xterm-256color'},
	});
	const page = await browser.newPage({viewport: {width: 740, height: 400}, deviceScaleFactor: 1.5});
	const text = `$ gatepass ${parameters.slice(2).join(' ')}\n${stdout.replaceAll('\r', '')}`;
	await page.setContent(
		`<pre style="display: inline-block; margin: 0; padding: 16px; border-radius: 8px; background: #1b1b1f; color: #dfdfd6; font: 14px/1.45 monospace">${coloured(text.trimEnd())}</pre>`,
	);
	await page.locator('pre').screenshot({path: join(images, 'terminal-explain.png'), omitBackground: true});
	await page.close();
}

const colours: Readonly<Record<string, string>> = {
	'1': 'font-weight: bold',
	'2': 'opacity: 0.7',
	'31': 'color: #f87171',
	'32': 'color: #4ade80',
	'33': 'color: #facc15',
	'36': 'color: #22d3ee',
	'90': 'color: #9ca3af',
};

/** What a terminal shows, as HTML: each colour ends with the next sequence that is none of those above. */
function coloured(text: string): string {
	return text
		.split('\u001b[')
		.map((part, index) => {
			if (index === 0) return escapeText(part);
			const [, code = '', rest = ''] = /^(\d+)m([\s\S]*)$/.exec(part) ?? ['', '', part];
			const style = colours[code];
			return style === undefined ? escapeText(rest) : `<span style="${style}">${escapeText(rest)}</span>`;
		})
		.join('');
}

const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
	args: ['--no-sandbox'],
});
const site = await serveSite();
try {
	await takeStart(browser, site.url);
	await takeSearch(browser, site.url);
	await takeTerminal(browser);
} finally {
	await browser.close();
	site.close();
}
