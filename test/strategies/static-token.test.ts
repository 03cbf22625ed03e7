/** `static-token`: each of its four forms, and options that mix them. */
import {afterEach, describe, expect, test} from 'vitest';
import {
	ConfigurationError,
	type ConfigurationInput,
	CredentialUnavailableError,
	createGatepass,
	type Gatepass,
} from '../../src/index.ts';
import {conformance} from '../../src/testing/index.ts';
import {StaticTokenStrategy} from '../../strategies/static-token/index.ts';
import {unsignedJwt} from './unsigned-jwt.ts';

let gatepass: Gatepass | undefined;
afterEach(async () => gatepass?.close());

async function withOptions(options: Record<string, unknown>): Promise<Gatepass> {
	const config: ConfigurationInput = {
		cache: {url: 'memory:'},
		hostRules: [{match: 'https://api.example.org', strategy: 'static-token', options}],
	};
	gatepass = await createGatepass({config, env: {}});
	return gatepass;
}

const url = 'https://api.example.org/v1?page=2';

describe('each form', () => {
	test.each([
		[{token: 'abc.def'}, {authorization: 'Bearer abc.def'}],
		[{header: 'X-Api-Key', value: 'k e y'}, {'x-api-key': 'k e y'}],
		[
			{username: 'ärla', password: 'p:w'},
			{authorization: `Basic ${Buffer.from('ärla:p:w').toString('base64')}`},
		],
		[{username: 'key', password: ''}, {authorization: `Basic ${Buffer.from('key:').toString('base64')}`}],
	])('%j', async (options, headers) => {
		expect((await (await withOptions(options)).authorize(url)).headers).toEqual(headers);
	});

	test('the conformance kit passes for each', async () => {
		for (const options of [
			{token: 'canary-token'},
			{header: 'x-key', value: 'canary-value'},
			{query: 'key', value: 'canary-value'},
			{username: 'u', password: 'canary-word'},
		]) {
			await expect(conformance(StaticTokenStrategy, {options})).resolves.toHaveLength(14);
		}
	});
});

describe('refused', () => {
	test.each([
		[{}],
		[{token: 'a', header: 'b', value: 'c'}],
		[{header: 'x-key'}],
		[{value: 'canary'}],
		[{header: 'x-key', query: 'key', value: 'canary'}],
		[{username: 'only'}],
		[{token: 'two\nlines'}],
		[{header: 'no header', value: 'v'}],
		[{username: 'a:b', password: 'c'}],
	])('%j', async options => {
		await expect(withOptions(options)).rejects.toBeInstanceOf(ConfigurationError);
	});
});

describe('a token that is a JWT', () => {
	test('has an expiry in status', async () => {
		const seconds = Math.floor(Date.now() / 1000) + 600;
		const [status] = await (await withOptions({token: unsignedJwt({exp: seconds})})).status();
		expect(status).toMatchObject({available: true, expiresAt: seconds * 1000});
	});

	test('is not used after its end', async () => {
		const ended = await withOptions({token: unsignedJwt({exp: Math.floor(Date.now() / 1000) - 1})});
		await expect(ended.authorize(url)).rejects.toBeInstanceOf(CredentialUnavailableError);
		expect((await ended.status())[0]).toMatchObject({available: false});
	});
});
