/** A server that tells a client what it got from it, and strategies that satisfy it, for tests of got's features. */
import {z} from 'zod';
import {defineStrategy} from '../../src/index.ts';
import {answerJson, startServer, type TestServer} from '../../src/testing/server.ts';

/** What the server answers with. */
export interface Echo {
	readonly method: string;
	readonly url: string;
	readonly body: string;
	readonly contentType: string | undefined;
}

/** Start a server that demands `x-credential: valid`, and refuses with 401 what comes without. */
export async function startEchoServer(): Promise<TestServer> {
	return startServer(({method, url, body, headers}, response) => {
		if (headers['x-credential'] !== 'valid') {
			answerJson(response, 401, {error: 'no credential'}, {'www-authenticate': 'Test'});
			return;
		}
		answerJson(response, 200, {method, url, body, contentType: headers['content-type']});
	});
}

/** Shows its credential at once. */
export const EagerStrategy = defineStrategy({
	name: 'eager',
	options: z.object({value: z.string().default('valid')}),
	async *authenticate(request, {options}) {
		request.headers.set('x-credential', options.value);
		yield;
	},
});

/** Waits for a challenge, so that each request has two legs. */
export const ChallengedStrategy = defineStrategy({
	name: 'challenged',
	options: z.object({}),
	async *authenticate(request) {
		const response = yield;
		if (response.status !== 401) return;
		request.headers.set('x-credential', 'valid');
		yield;
	},
});
