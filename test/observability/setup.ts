/** What the tests of observability share: all events, and an API with rules of several strategies. */
import {subscribe, unsubscribe} from 'node:diagnostics_channel';
import type {ServerResponse} from 'node:http';
import {onTestFinished} from 'vitest';
import {createGatepass, type Gatepass, type GatepassSettings} from '../../src/index.ts';
import {answerJson, type RecordedRequest, startServer, type TestServer} from '../../src/testing/server.ts';
import {TokenEndpoint} from '../tokens/token-endpoint.ts';

export const eventNames = [
	'gatepass:token:issue',
	'gatepass:token:hit',
	'gatepass:token:refresh',
	'gatepass:token:invalidate',
	'gatepass:token:error',
	'gatepass:request',
] as const;

export interface PublishedEvent {
	readonly name: string;
	readonly payload: Record<string, unknown>;
}

/** All that is published on the channels while the test runs. */
export function listenTo(names: readonly string[] = eventNames): PublishedEvent[] {
	const events: PublishedEvent[] = [];
	for (const name of names) {
		const listen = (payload: unknown) => events.push({name, payload: payload as Record<string, unknown>});
		subscribe(name, listen);
		onTestFinished(() => void unsubscribe(name, listen));
	}
	return events;
}

export interface Stage {
	readonly endpoint: TokenEndpoint;
	readonly api: TestServer;
	/** Tokens that the API refuses. */
	readonly refused: Set<string>;
	createClient(settings?: Omit<GatepassSettings, 'config'>): Promise<Gatepass>;
}

/** Which strategy an API's path needs: `/sso/…`, `/key/…`, `/kerberos/…`. The last part says what is answered. */
export async function setStage(): Promise<Stage> {
	const endpoint = await TokenEndpoint.start();
	const refused = new Set<string>();
	const api = await startServer((request, response, incoming) => {
		const path = request.url.split('?')[0] ?? '';
		if (isChallenged(request, refused)) {
			answerJson(response, 401, {}, path.startsWith('/kerberos') ? {'www-authenticate': 'Negotiate'} : {});
			return;
		}
		answer(path, response, () => incoming.socket.destroy());
	});
	onTestFinished(() => Promise.all([endpoint.close(), api.close()]).then(() => {}));
	const options = {clientId: 'reports', clientSecret: 'a-client-secret', tokenEndpoint: endpoint.url};
	const hostRules = [
		{match: `${api.url}/sso`, strategy: 'sso-client-credentials', options},
		{match: `${api.url}/key`, strategy: 'static-token', options: {query: 'api-key', value: 'an-api-key'}},
		{match: `${api.url}/kerberos`, strategy: 'kerberos-stub', options: {mutualAuthentication: 'disabled'}},
	];
	return {
		endpoint,
		api,
		refused,
		async createClient(settings = {}) {
			const gatepass = await createGatepass({
				env: {},
				...settings,
				config: {
					cache: settings.cache === undefined ? {url: 'memory:'} : {encryption: 'off'},
					hostRules,
				},
			});
			onTestFinished(() => gatepass.close());
			return gatepass;
		},
	};
}

function isChallenged({url, headers}: RecordedRequest, refused: Set<string>): boolean {
	const authorization = String(headers.authorization ?? '');
	if (url.startsWith('/kerberos')) return authorization === '';
	return (
		url.startsWith('/sso') && (authorization === '' || refused.has(authorization.replace('Bearer ', '')))
	);
}

function answer(path: string, response: ServerResponse, cutOff: () => void): void {
	const what = path.split('/').at(-1) ?? '';
	if (what === 'cut-off') cutOff();
	else if (what === 'never') response.socket?.setTimeout(0);
	else if (what.startsWith('to-')) response.writeHead(302, {location: `/${what.slice(3)}/200`}).end();
	else answerJson(response, Number(what), {path});
}
