/**
 * Secrets that strategies take from variables by themselves: a line break at the end is no part of one, and one that a
 * `.env` cuts at a `#` is a mistake, whichever strategy reads it.
 */
import {createServer, type Server} from 'node:http';
import type {AddressInfo} from 'node:net';
import {afterAll, beforeAll, describe, expect, onTestFinished, test, vi} from 'vitest';
import {createGatepass} from '../../src/index.ts';
import {folderWith} from '../config/loading.ts';

/** Answers token requests, and writes down what they show. */
let tokens: Server;
let endpoint: string;
let shown: string;
beforeAll(async () => {
	tokens = createServer(async (request, response) => {
		shown = `${request.headers.authorization} ${(await request.toArray()).join('')}`;
		response.setHeader('content-type', 'application/json');
		response.end(
			JSON.stringify({
				access_token: 'at',
				token_type: 'Bearer',
				expires_in: 300,
				issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
				// Of a container's endpoint, the same server.
				AccessKeyId: 'AKIDEXAMPLE',
				SecretAccessKey: 'wJalr',
			}),
		);
	});
	await new Promise<void>(resolve => tokens.listen(0, '127.0.0.1', resolve));
	endpoint = `http://127.0.0.1:${(tokens.address() as AddressInfo).port}`;
});
afterAll(() => new Promise(resolve => tokens.close(resolve)));

interface Reader {
	readonly strategy: string;
	readonly options: () => Record<string, unknown>;
	readonly variable: string;
	/** Others that it needs. */
	readonly besides?: () => Record<string, string>;
	/** What was shown of it, by the request's own headers or the token request. */
	readonly shown: (headers: Record<string, string>) => string | undefined;
}

const client = () => ({clientId: 'me', tokenEndpoint: endpoint});

const readers: Record<string, Reader> = {
	'subjectToken of sso-token-exchange': {
		strategy: 'sso-token-exchange',
		options: () => ({...client(), clientSecret: 'x', subjectToken: {variable: 'SECRET_A'}}),
		variable: 'SECRET_A',
		shown: () => /subject_token=([^&]*)/.exec(shown)?.[1],
	},
	'clientAssertion of sso-client-credentials': {
		strategy: 'sso-client-credentials',
		options: () => ({...client(), clientAssertion: {variable: 'SECRET_B'}}),
		variable: 'SECRET_B',
		shown: () => /client_assertion=([^&]*)/.exec(shown)?.[1],
	},
	'assertion of sso-jwt-bearer': {
		strategy: 'sso-jwt-bearer',
		options: () => ({...client(), clientSecret: 'x', assertion: {variable: 'SECRET_C'}}),
		variable: 'SECRET_C',
		shown: () => /[^_]assertion=([^&]*)/.exec(shown)?.[1],
	},
	'the client secret': {
		strategy: 'sso-client-credentials',
		options: () => ({...client(), clientAuthentication: 'client_secret_post'}),
		variable: 'SSO_CLIENT_SECRET',
		shown: () => /client_secret=([^&]*)/.exec(shown)?.[1],
	},
	BEARER_TOKEN: {
		strategy: 'wlcg-token',
		options: () => ({}),
		variable: 'BEARER_TOKEN',
		shown: ({authorization}) => authorization?.slice('Bearer '.length),
	},
	'the session token of aws-sigv4': {
		strategy: 'aws-sigv4',
		options: () => ({service: 's3', region: 'eu'}),
		variable: 'AWS_SESSION_TOKEN',
		besides: () => ({AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'wJalr'}),
		shown: headers => headers['x-amz-security-token'],
	},
	'the key id of aws-sigv4': {
		strategy: 'aws-sigv4',
		options: () => ({service: 's3', region: 'eu'}),
		variable: 'AWS_ACCESS_KEY_ID',
		besides: () => ({AWS_SECRET_ACCESS_KEY: 'wJalr'}),
		shown: ({authorization}) => /Credential=([^/]*)/.exec(authorization ?? '')?.[1],
	},
	'the token of a container': {
		strategy: 'aws-sigv4',
		options: () => ({service: 's3', region: 'eu'}),
		variable: 'AWS_CONTAINER_AUTHORIZATION_TOKEN',
		besides: () => ({AWS_CONTAINER_CREDENTIALS_FULL_URI: endpoint, HOME: '/nonexistent'}),
		shown: () => shown.split(' ')[0],
	},
};

const api = 'https://api.example.org/';

describe.each(Object.entries(readers))('%s', (_name, {strategy, options, variable, besides, shown: seen}) => {
	test.each(['\n', '\r\n'])('without the %j at its end, which is told of once', async lineBreak => {
		const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
		onTestFinished(() => warned.mockRestore());
		await using gatepass = await createGatepass({
			cwd: '/',
			env: {...besides?.(), [variable]: `canary-${variable}${lineBreak}`},
			config: {cache: {url: 'memory:'}, hostRules: [{match: api, strategy, options: options()}]},
		});
		const {headers} = await gatepass.authorize(api);
		await gatepass.authorize(api, {fresh: true});
		expect(seen(headers)).toBe(`canary-${variable}`);
		const messages = warned.mock.calls.map(([message]) => String(message));
		// The process is told of a variable once.
		expect(messages.filter(message => message.includes(variable))).toHaveLength(lineBreak === '\n' ? 1 : 0);
		expect(messages.join()).not.toContain('canary');
	});

	test('cut at a # in the .env', async () => {
		const rule = {match: api, strategy, options: options()};
		const cwd = folderWith({
			'gatepass.config.json': JSON.stringify({cache: {url: 'memory:'}, hostRules: [rule]}),
			'.env': Object.entries({...besides?.(), [variable]: 'canary#rest'})
				.map(pair => pair.join('='))
				.join('\n'),
		});
		const refused = (async () => {
			await using gatepass = await createGatepass({cwd, env: {}});
			await gatepass.authorize(api);
		})();
		await expect(refused).rejects.toMatchObject({
			message: expect.stringMatching(
				new RegExp(`he value of ${variable} in .*\\.env is cut at its '#'.*quotes`, 's'),
			),
		});
		await expect(refused).rejects.not.toMatchObject({message: expect.stringContaining('canary')});
	});
});

test('a variable that an option names is looked at as the configuration is read', async () => {
	const rule = (subjectToken: unknown) => ({
		match: api,
		strategy: 'sso-token-exchange',
		options: {...client(), clientSecret: 'x', subjectToken},
	});
	const nested = {rule: {strategy: 'sso-client-credentials', options: {clientAssertion: {variable: 'B'}}}};
	const cwd = folderWith({
		'gatepass.config.json': JSON.stringify({hostRules: [rule({variable: 'A'}), rule(nested)]}),
		'.env': 'A=one#two\nB=three#four\n',
	});
	await expect(createGatepass({cwd, env: {}})).rejects.toMatchObject({
		problems: expect.arrayContaining([
			expect.objectContaining({
				path: 'hostRules[0].options.subjectToken.variable',
				code: 'reference-malformed',
			}),
			expect.objectContaining({
				path: 'hostRules[1].options.subjectToken.rule.options.clientAssertion.variable',
			}),
		]),
	});
});
