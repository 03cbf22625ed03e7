/** A stage for tests of conversations: a server and a strategy that each test scripts, and a check that all ends. */
import type {IncomingMessage, ServerResponse} from 'node:http';
import got, {type RequestError} from 'got';
import {afterAll, afterEach, beforeAll, beforeEach, expect} from 'vitest';
import {z} from 'zod';
import {
	type AuthRequest,
	type Conversation,
	createGatepass,
	defineStrategy,
	type Gatepass,
	type StrategyClass,
} from '../../src/index.ts';
import {startServer, type TestServer} from '../../src/testing/server.ts';

export interface Stage {
	/** What the strategy does; it holds for every server on this machine. */
	script: (request: AuthRequest) => Conversation;
	/** What the server does. */
	answer: (incoming: IncomingMessage, response: ServerResponse) => void;
	/** Conversations begun and ended in this test: each must end. */
	begun: number;
	ended: number;
	readonly server: TestServer;
	readonly gatepass: Gatepass;
	/** For a gatepass of a test's own. */
	readonly strategy: StrategyClass;
}

/** Set up the stage for the tests of a file, which also checks after each one that nothing is left over. */
export function setUpStage(): Stage {
	const accept: Stage['answer'] = (_incoming, response) => void response.end('accepted');
	const stage = {script: untilAccepted, answer: accept, begun: 0, ended: 0} as Stage & {
		server: TestServer;
		gatepass: Gatepass;
		strategy: StrategyClass;
	};
	const strategy = defineStrategy({
		name: 'scripted',
		options: z.object({}),
		async *authenticate(request) {
			stage.begun += 1;
			try {
				yield* stage.script(request);
			} finally {
				stage.ended += 1;
			}
		},
	});
	stage.strategy = strategy;
	const unhandled: unknown[] = [];
	const note = (reason: unknown): void => void unhandled.push(reason);

	beforeAll(async () => {
		process.on('unhandledRejection', note);
		stage.server = await startServer((_request, response, incoming) => stage.answer(incoming, response));
		stage.gatepass = await createGatepass({
			got: got.extend({retry: {limit: 0}}),
			strategies: [strategy],
			config: {cache: {url: 'memory:'}, hostRules: [{match: 'http://127.0.0.1:*', strategy: 'scripted'}]},
		});
	});

	afterAll(async () => {
		await stage.gatepass.close();
		await stage.server.close();
		process.off('unhandledRejection', note);
	});

	beforeEach(() => {
		Object.assign(stage, {script: untilAccepted, answer: accept, begun: 0, ended: 0});
	});

	afterEach(async () => {
		await expect.poll(() => stage.ended, {message: 'every conversation ends'}).toBe(stage.begun);
		expect(unhandled).toEqual([]);
	});
	return stage;
}

/** Sends with a number until the server answers 200. */
export async function* untilAccepted(request: AuthRequest): Conversation {
	for (let leg = 1; ; leg += 1) {
		request.headers.set('x-leg', `${leg}`);
		const response = yield;
		if (response.status === 200) return;
	}
}

/** The error of a request that must fail. */
export async function failure(promise: Promise<unknown>): Promise<RequestError> {
	const error = await promise.then(
		() => undefined,
		(reason: unknown) => reason,
	);
	expect(error).toBeInstanceOf(Error);
	return error as RequestError;
}
