/** The checks of the conformance kit. Each holds conversations with the strategy and fails with a sentence. */
import assert from 'node:assert/strict';
import {inspect, isDeepStrictEqual} from 'node:util';
import type {Composition} from '../container.ts';
import {GatepassError, StrategyError} from '../errors.ts';
import {HopRequest} from '../hop/request.ts';
import {runHop} from '../hop/run.ts';
import {type AuthResponse, definitionOf, type StrategyClass} from '../strategy/index.ts';

/** What a check works on. Each check has one of its own. */
export interface Subject {
	readonly strategy: StrategyClass;
	readonly composition: Composition;
	readonly url: URL;
	/** The options that are secrets: none of them may show up in a message. */
	readonly secrets: readonly string[];
}

type Check = (subject: Subject) => Promise<void>;

/** By name, in the order in which they are made. */
export const checks: Readonly<Record<string, Check>> = {
	'its name has lower-case letters, digits and hyphens only': async ({strategy}) => {
		assert.match(definitionOf(strategy)?.name ?? '', /^[a-z][a-z\d-]*$/);
	},

	'one instance serves all requests of a rule': async ({composition}) => {
		const [rule] = composition.rules;
		const strategy = rule?.strategy;
		assert.equal(typeof strategy?.authenticate, 'function', 'it has no authenticate()');
		assert.equal(rule?.strategy, strategy);
	},

	'it prepares a request and accepts a success': async subject => {
		const {isAccepted, failure} = await converse(subject, [200, 200, 200]);
		assert.ok(
			failure === undefined || failure instanceof GatepassError,
			`it threw ${describe(failure)}, which is no GatepassError`,
		);
		if (failure === undefined) assert.ok(isAccepted, 'it went on sending after three successes');
	},

	'it does not send again for ever when it is refused': async subject => {
		const {failure} = await converse(
			subject,
			Array.from({length: 12}, () => 401),
		);
		assert.ok(
			failure === undefined || failure instanceof GatepassError,
			`it threw ${describe(failure)}, which is no GatepassError`,
		);
		assert.ok(!(failure instanceof StrategyError), 'it sent the request more than ten times');
	},

	'it accepts an error of the server': async subject => {
		for (const status of [403, 404, 500, 503]) {
			const {failure} = await converse(subject, [status, status, status]);
			assert.ok(
				failure === undefined || failure instanceof GatepassError,
				`at ${status} it threw ${describe(failure)}`,
			);
		}
	},

	'it takes a body of any kind, and one that cannot be read': async subject => {
		for (const body of [null, '', '{"error": "expired"}', '<html>', '\0\x01']) {
			const {failure} = await converse(subject, [401, 200, 200], 'GET', body);
			assert.ok(
				failure === undefined || failure instanceof GatepassError,
				`at ${body === null ? 'a body that cannot be read' : inspect(body)} it threw ${describe(failure)}`,
			);
		}
	},

	'it leaves method, origin and path alone': async subject => {
		const {request} = await converse(subject, [200, 200, 200], 'POST');
		assert.equal(request.method, 'POST');
		assert.equal(request.target.origin + request.target.pathname, subject.url.origin + subject.url.pathname);
	},

	'its headers can be sent': async subject => {
		const {request} = await converse(subject, [200, 200, 200]);
		for (const [name, value] of Object.entries(request.headers.record)) {
			assert.doesNotThrow(
				() => new Headers([[name, String(value)]]),
				`the header ${name} has a name or value that HTTP does not allow`,
			);
		}
	},

	'what it has at hand is what its first leg shows': async subject => {
		const [rule] = subject.composition.rules;
		const strategy = rule?.strategy;
		if (strategy?.atHand === undefined) return;
		// What has to be fetched is at hand after that.
		await converse(subject, [200, 200, 200]);
		for (const method of ['GET', 'POST']) {
			const credential = strategy.atHand({method, tenant: rule?.info.tenant});
			if (credential === undefined) continue;
			const {request, isAccepted} = await converse(subject, [200], method);
			assert.ok(
				isAccepted,
				'atHand() is for what accepts every answer but a 401, and it sends again after a 200',
			);
			const {'x-caller': _, ...shown} = request.headers.record;
			const header = credential.header === undefined ? {} : Object.fromEntries([credential.header]);
			assert.ok(
				isDeepStrictEqual({...shown}, header),
				'atHand() gives another header than its first leg has',
			);
			assert.ok(
				request.identity === credential.identity,
				'atHand() gives another certificate than its first leg',
			);
			assert.ok(
				request.target.search === subject.url.search,
				'its first leg adds to the URL what atHand() does not',
			);
		}
	},

	"it keeps the caller's other headers": async subject => {
		const {request} = await converse(subject, [200, 200, 200]);
		assert.equal(request.headers.get('x-caller'), 'kept');
	},

	'two requests at once do not meet': async subject => {
		const single = await converse(subject, [200, 200, 200]);
		const pairs = await Promise.all(Array.from({length: 20}, () => converse(subject, [200, 200, 200])));
		for (const {request, failure} of pairs) {
			assert.deepEqual(
				Object.keys(request.headers.record).sort(),
				Object.keys(single.request.headers.record).sort(),
			);
			assert.equal(failure?.constructor, single.failure?.constructor, 'one of them failed, another did not');
		}
	},

	'it can be ended before it is finished': async subject => {
		const brokenOff = new Error('broken off');
		const ended = hold(subject, 'GET', async () => {
			throw brokenOff;
		});
		const failure = await ended.outcome.catch(error => error);
		assert.ok(failure === brokenOff || failure instanceof GatepassError, `it threw ${describe(failure)}`);
	},

	'its errors hold none of its options': async subject => {
		const conversations = await Promise.all([
			converse(subject, [200, 200]),
			converse(subject, [401, 401, 401]),
			converse(subject, [500, 500]),
		]);
		for (const {failure} of conversations) {
			if (failure === undefined) continue;
			const shown = inspect(failure, {depth: 8, showHidden: true}) + JSON.stringify(failure);
			assert.ok(!subject.secrets.some(secret => shown.includes(secret)), 'an error shows one of the options');
		}
	},

	'its status asks no server and shows no secret': async subject => {
		const [rule] = subject.composition.rules;
		const status = await rule?.strategy.status?.();
		if (status === undefined) return;
		assert.equal(
			typeof status.available,
			'boolean',
			'status() does not say whether the credential is available',
		);
		assert.equal(typeof status.detail, 'string', 'status() has no detail');
		const {request} = await converse(subject, [200]);
		const header = request.headers.get('authorization')?.split(' ').at(-1);
		assert.ok(header === undefined || !inspect(status).includes(header), 'status() shows the credential');
	},
};

interface Held {
	readonly request: HopRequest;
	/** Whether the strategy accepted one of the answers. */
	readonly isAccepted: boolean;
	readonly failure: Error | undefined;
}

/** The server has no more answers: what the strategy would do next is its business. */
class NoMoreAnswers extends Error {}

interface PlayedAnswer {
	readonly response: AuthResponse;
	readBody(): Promise<Uint8Array | undefined>;
	discard(): void;
}

function hold(
	{composition, url}: Subject,
	method: string,
	send: () => Promise<PlayedAnswer>,
): {request: HopRequest; outcome: Promise<PlayedAnswer>} {
	const [rule] = composition.rules;
	assert.ok(rule !== undefined);
	const request = new HopRequest(url, method, {'x-caller': 'kept'}, {fresh: false, replayable: true});
	return {request, outcome: runHop(rule, request, {send})};
}

/** Hold a conversation in which the server answers with these statuses, one after the other. */
async function converse(
	subject: Subject,
	statuses: readonly number[],
	method = 'GET',
	body: string | null = '{}',
): Promise<Held> {
	const answers = statuses.values();
	const {request, outcome} = hold(subject, method, async () => {
		const {value: status, done} = answers.next();
		if (done === true) throw new NoMoreAnswers();
		return {
			response: respond(status),
			readBody: async () => (body === null ? undefined : Buffer.from(body)),
			discard: () => {},
		};
	});
	try {
		await outcome;
		return {request, isAccepted: true, failure: undefined};
	} catch (error) {
		if (error instanceof NoMoreAnswers) return {request, isAccepted: false, failure: undefined};
		const failure = error instanceof Error ? error : new Error(`it threw ${inspect(error)}`);
		return {request, isAccepted: false, failure};
	}
}

function respond(status: number): AuthResponse {
	return {status, headers: {date: new Date().toUTCString()}, body: undefined, withhold: () => {}};
}

function describe(error: Error | undefined): string {
	return error === undefined ? 'nothing' : `${error.name}: ${error.message}`;
}
