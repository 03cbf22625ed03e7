/** A process that stands still while it waits for an answer: that it ran out of time then is no failure. */
import {spawn} from 'node:child_process';
import {text} from 'node:stream/consumers';
import {setTimeout as delay} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import got from 'got';
import {expect, onTestFinished, test, vi} from 'vitest';
import {GotHttpClient} from '../../src/http/http-client.ts';
import {type RecordedRequest, startServer} from '../../src/testing/server.ts';
import {TlsAgents} from '../../src/tls/agents.ts';
import {PauseWatch} from '../../src/tokens/steady-clock.ts';
import {TrustStores} from '../../src/trust/trust-stores.ts';

/** Answers the second request and those that follow. The first one waits for ever. */
async function startLateServer(onFirst: () => void = () => {}) {
	const server = await startServer((_: RecordedRequest, response) => {
		if (server.requests.length > 1) response.end('answered');
		else onFirst();
	});
	onTestFinished(() => server.close());
	return server;
}

test('stopped for longer than the time limit, it asks once more when it goes on', async () => {
	const arrived = Promise.withResolvers<void>();
	const server = await startLateServer(arrived.resolve);
	const script = fileURLToPath(new URL('paused-child.ts', import.meta.url));
	const child = spawn(process.execPath, [script, server.url], {stdio: ['ignore', 'pipe', 'inherit']});
	onTestFinished(() => void child.kill('SIGKILL'));
	const output = text(child.stdout);
	await arrived.promise;
	child.kill('SIGSTOP');
	// Longer than the time limit, and than what passes for a busy machine.
	await delay(5500);
	child.kill('SIGCONT');
	expect((await output).trim()).toBe('answered');
	expect(server.requests).toHaveLength(2);
});

test('while it runs, the time limit holds', async () => {
	const server = await startLateServer();
	const agents = new TlsAgents();
	onTestFinished(() => agents.close());
	const settings = {timeout: 300, retries: 0};
	const client = new GotHttpClient(async () => got, new TrustStores([]), agents, settings);
	await expect(client.fetch(server.url)).rejects.toThrow('did not answer in time');
	expect(server.requests).toHaveLength(1);
});

test('one try that gets no answer leaves time for another', async () => {
	const server = await startLateServer();
	const agents = new TlsAgents();
	onTestFinished(() => agents.close());
	const settings = {timeout: 8000, retries: 1};
	const client = new GotHttpClient(async () => got, new TrustStores([]), agents, settings);
	const answer = await client.fetch(server.url, {method: 'POST', body: 'a=b'});
	expect(await answer.text()).toBe('answered');
});

test('a machine that slept is told by its clocks, which disagree', () => {
	const watch = new PauseWatch();
	onTestFinished(() => {
		vi.useRealTimers();
		watch.stop();
	});
	expect(watch.hasPaused()).toBe(false);
	vi.useFakeTimers({toFake: ['Date'], now: Date.now() + 60_000});
	expect(watch.hasPaused()).toBe(true);
});
