import {Readable} from 'node:stream';
import {setImmediate as immediate} from 'node:timers/promises';
import {expect} from 'vitest';
import {startServer} from '../../src/testing/server.ts';
import {errorOf, fault} from './harness.ts';

// The time for idle connections is over just as the second request is sent: the server resets what it gets on a kept one.
// What can be sent again reaches the server over a new one; a stream that is used up cannot, and the error says why.
fault('idle-connection-closed', [], () => async stage => {
	let isOver = false;
	const known = new Set<unknown>();
	const server = stage.ended(
		await startServer(({headers, body}, response) => {
			const {socket} = response;
			if (isOver && known.has(socket)) socket?.resetAndDestroy();
			else response.end(`${headers.authorization} ${body}`);
			known.add(socket);
		}),
	);
	const gatepass = await stage.open({
		hostRules: [{match: server.url, strategy: 'static-token', options: {token: 'abc'}}],
	});
	const method = 'POST';
	const senders: ((body: string | Readable) => Promise<string>)[] = [
		body => gatepass.got(server.url, {method, body}).text(),
		async body => {
			const stream = typeof body === 'string' ? body : Readable.toWeb(body);
			const init = {method, body: stream, duplex: 'half'} as RequestInit;
			return (await gatepass.fetch(server.url, init)).text();
		},
		async body => {
			const answer = await gatepass.dispatcher.request({origin: server.url, path: '/', method, body});
			return answer.body.text();
		},
	];
	const failures: Error[] = [];
	for (const send of senders) {
		for (const body of ['once', () => Readable.from([Buffer.from('used up')])]) {
			isOver = false;
			expect(await send('first')).toBe('Bearer abc first');
			isOver = true;
			// undici takes a connection for idle in the next round.
			await immediate();
			if (typeof body === 'string') expect(await send(body)).toBe(`Bearer abc ${body}`);
			else failures.push(await errorOf(send(body())));
		}
	}
	const told = {code: 'connection-lost', what: expect.stringContaining('before it answered a POST')};
	expect(failures).toHaveLength(3);
	for (const failure of failures) expect(failure).toMatchObject({diagnostics: [told]});
	return failures[0];
});
