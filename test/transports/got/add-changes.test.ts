/** What a strategy changed goes into the request itself; these are the requests where that could go wrong. */
import {Agent} from 'node:http';
import {expect, test} from 'vitest';
import {setUpStage} from '../scripted-stage.ts';

const stage = setUpStage();

test('a request whose head Node writes at once, because of Expect', async () => {
	stage.script = async function* (request) {
		request.headers.set('authorization', 'Bearer token');
		yield;
	};
	stage.answer = (incoming, response) => void response.end(String(incoming.headers.authorization));
	const answer = await stage.gatepass.got.post(stage.server.url, {
		headers: {expect: '100-continue'},
		body: 'body',
	});
	expect(answer.body).toBe('Bearer token');
	expect(stage.server.requests.at(-1)?.body).toBe('body');
});

test('a request that was made for a header that cannot be sent does not keep its place', async () => {
	stage.script = async function* (request) {
		request.headers.set('x-key', 'a line\nand another');
		yield;
	};
	const http = new Agent({maxSockets: 1});
	const request = stage.gatepass.got(stage.server.url, {agent: {http}});
	await expect(request).rejects.toMatchObject({code: 'ERR_INVALID_CHAR'});
	stage.script = async function* () {
		yield;
	};
	// With the one socket taken, this would wait for ever.
	expect(await stage.gatepass.got(stage.server.url, {agent: {http}}).text()).toBe('accepted');
});
