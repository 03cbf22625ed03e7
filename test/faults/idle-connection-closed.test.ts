import {setImmediate as immediate} from 'node:timers/promises';
import {expect} from 'vitest';
import {startServer} from '../../src/testing/server.ts';
import {errorOf, fault} from './harness.ts';

// The time for idle connections is over just as the second request is sent: the server resets what it gets on a kept one.
fault('idle-connection-closed', [], () => async stage => {
	let isOver = false;
	const known = new Set<unknown>();
	const server = stage.ended(
		await startServer(({headers}, response) => {
			const {socket} = response;
			if (isOver && known.has(socket)) socket?.resetAndDestroy();
			else response.end(String(headers.authorization));
			known.add(socket);
		}),
	);
	const gatepass = await stage.open({
		hostRules: [{match: server.url, strategy: 'static-token', options: {token: 'abc'}}],
	});
	const post = {method: 'POST', body: 'once'} as const;
	const told = {code: 'connection-lost', what: expect.stringContaining('before it answered a POST')};
	const failures: Error[] = [];
	for (const send of [
		() => gatepass.got(server.url, post),
		() => gatepass.fetch(server.url, post),
		() => gatepass.dispatcher.request({origin: server.url, path: '/', ...post}),
	]) {
		isOver = false;
		const answer = await send();
		if ('text' in answer && typeof answer.text === 'function') await answer.text();
		else if ('body' in answer && typeof answer.body === 'object')
			await (answer.body as {dump(): unknown}).dump();
		isOver = true;
		// undici takes a connection for idle in the next round.
		await immediate();
		failures.push(await errorOf(send()));
	}
	for (const failure of failures) expect(failure).toMatchObject({diagnostics: [told]});
	// A GET does no harm: got sends it again by itself, on a new connection.
	isOver = false;
	await gatepass.got(server.url);
	isOver = true;
	expect(await gatepass.got(server.url).text()).toBe('Bearer abc');
	return failures[0];
});
