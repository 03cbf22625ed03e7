/** Challenges that a person answers at a terminal, which is a real one (`script` of util-linux): every key that ends it. */
import {once} from 'node:events';
import {existsSync, readdirSync} from 'node:fs';
import {createServer} from 'node:http';
import {stripVTControlCharacters} from 'node:util';
import {afterEach, beforeEach, expect, onTestFinished, test} from 'vitest';
import {describeWith} from '../servers/availability.ts';
import {type Pebble, pebble, startPebble} from '../servers/pebble.ts';
import {createWorkspace, type Workspace} from './command-line.ts';

const ctrlC = '\x03';
const ctrlD = '\x04';
const question = 'Is it there?';

describeWith(pebble, 'by hand', () => {
	let server: Pebble;
	let workspace: Workspace;

	beforeEach(async () => {
		server = await startPebble();
		workspace = await createWorkspace({
			cache: {url: 'memory:'},
			trust: [{match: 'https://localhost:*', ca: server.ca}],
		});
	});
	afterEach(async () => {
		await workspace.close();
		await server.close();
	});

	interface Sitting {
		readonly code: number | null;
		/** All that was to be seen, without colours. */
		readonly seen: string;
	}

	/** @param answer what the person does, who sees the screen so far: keys, or `undefined` to hang up. */
	async function sit(
		args: readonly string[],
		answer: (screen: string, turn: number) => Promise<string | undefined>,
	): Promise<Sitting> {
		const child = workspace.startOnTerminal([
			...['cert', 'obtain', '--manual', '--agree-tos', '-m', 'me@example.org'],
			...['--server', server.directoryUrl, '--config-dir', 'letsencrypt', ...args],
		]);
		onTestFinished(() => void child.kill('SIGKILL'));
		let [said, answered, turns] = ['', 0, 0];
		let answering = Promise.resolve();
		child.stdout?.on('data', chunk => {
			said += chunk;
			const screen = stripVTControlCharacters(said);
			const asked = screen.indexOf(`◆  ${question}`, answered);
			// The last line of the question: then it reads keys.
			if (asked === -1 || screen.indexOf('└', asked) === -1) return;
			const since = screen.slice(answered);
			answered = screen.length;
			turns += 1;
			answering = answering.then(async () => {
				const keys = await answer(since, turns);
				if (keys === undefined) child.stdin?.end();
				else child.stdin?.write(keys);
			});
		});
		const [code] = await once(child, 'close');
		await answering;
		return {code, seen: stripVTControlCharacters(said)};
	}

	/** A line within the frame, after a line. */
	function shownAfter(line: string, screen: string): string {
		const lines = screen.split(/\r?\n/).map(each => each.replace(/^│ */, '').replace(/ *│$/, ''));
		return lines[lines.indexOf(line) + 1] as string;
	}

	const oneByDns = ['-d', 'a.example.test', '--preferred-challenges', 'dns-01'];

	async function addRecord(screen: string): Promise<void> {
		await server.dns('set-txt', {
			host: `${shownAfter('Add a TXT record named', screen)}.`,
			value: shownAfter('with the value', screen),
		});
	}

	test('by a record, whatever else is typed meanwhile', async () => {
		const {code, seen} = await sit(oneByDns, async screen => {
			await addRecord(screen);
			return 'x?\t\r';
		});
		expect(seen).toContain('a.example.test: issued');
		expect(seen).toContain('_acme-challenge.a.example.test is not needed any more');
		expect(code).toBe(0);
		expect(existsSync(workspace.path('letsencrypt/live/a.example.test/privkey.pem'))).toBe(true);
	});

	test('by a web page, for two names one after the other', async () => {
		const pages = new Map<string, string>();
		const web = createServer((request, response) => response.end(pages.get(request.url ?? '')));
		await once(web.listen(server.httpPort, '127.0.0.1'), 'listening');
		onTestFinished(() => void web.close());
		const {code, seen} = await sit(
			['-d', 'a.example.test,b.example.test', '--preferred-challenges', 'http-01'],
			async screen => {
				const {pathname} = new URL(shownAfter('Serve at', screen));
				pages.set(pathname, shownAfter('the text', screen));
				return 'y';
			},
		);
		expect(pages.size).toBe(2);
		expect(seen).toContain('b.example.test: issued');
		expect(code).toBe(0);
	});

	test('Ctrl-C at the second question takes the answer to the first one away', async () => {
		const args = ['-d', 'a.example.test,b.example.test', '--preferred-challenges', 'dns-01'];
		const {code, seen} = await sit(args, async (screen, turn) => {
			if (turn === 2) return ctrlC;
			await addRecord(screen);
			return 'y';
		});
		expect(seen).toContain('Interrupted: taking away what was put in place');
		expect(seen).toMatch(/_acme-challenge\.[ab]\.example\.test is not needed any more/);
		expect(code).toBe(130);
		expectNothingKept();
	});

	test.each([
		['no', 'n', /The challenge for a\.example\.test was not answered\. Run this again/, 1],
		['Enter, though nothing is there', '\r', /did not authorize a\.example\.test/, 1],
		['Ctrl-C', ctrlC, /Interrupted/, 130],
		['Ctrl-D', ctrlD, /The input ended before the question was answered/, 2],
		['a terminal that is gone', undefined, /The input ended before the question was answered/, 2],
	])('%s', async (_, keys, message, expected) => {
		const {code, seen} = await sit(oneByDns, async () => keys);
		expect(seen.replace(/\s+/g, ' ')).toMatch(message);
		expect(code).toBe(expected);
		expectNothingKept();
		// The terminal and the folder are as they were, so it can be done again.
		const again = await sit(oneByDns, async screen => {
			await addRecord(screen);
			return 'y';
		});
		expect(again).toMatchObject({code: 0});
	});

	function expectNothingKept(): void {
		expect(existsSync(workspace.path('letsencrypt/live/a.example.test'))).toBe(false);
		expect(readdirSync(workspace.path('letsencrypt')).filter(name => name.endsWith('.lock'))).toEqual([]);
	}

	test('where nobody is there, nothing is asked', async () => {
		const {code, stderr} = await workspace.run([
			...['cert', 'obtain', '--manual', '--agree-tos', '-m', 'me@example.org', ...oneByDns],
			...['--server', server.directoryUrl, '--config-dir', 'letsencrypt'],
		]);
		expect(stderr).toContain('Nobody is there to answer challenges by hand');
		expect(code).toBe(2);
	});
});
