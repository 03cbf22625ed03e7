/** What the tests of `sso-token-exchange` share: an authorization server, an API, and rules that exchange tokens for it. */
import type {Gatepass} from '../../src/index.ts';
import type {TestAuthority} from '../../src/testing/authority.ts';
import {type BoundTokenApi, startBoundTokenApi} from '../servers/bound-token-api.ts';
import {clients, type OidcProvider, startOidcProvider} from '../servers/oidc-provider.ts';
import {createRule, type endAfterEach} from './sso-protocol-setup.ts';

type End = ReturnType<typeof endAfterEach>;

export class ExchangeSetup {
	readonly authority: TestAuthority;
	readonly provider: OidcProvider;
	readonly api: BoundTokenApi;
	/** For what is to be ended after the test. */
	readonly ended: End;

	private constructor(authority: TestAuthority, provider: OidcProvider, api: BoundTokenApi, ended: End) {
		this.authority = authority;
		this.provider = provider;
		this.api = api;
		this.ended = ended;
	}

	static async start(authority: TestAuthority, ended: End): Promise<ExchangeSetup> {
		const provider = ended(await startOidcProvider({authority}));
		const api = ended(await startBoundTokenApi({...provider, boundTo: 'nothing'}));
		return new ExchangeSetup(authority, provider, api, ended);
	}

	/** A gatepass that exchanges as the client `run-archiver`. */
	async useExchange(options: Record<string, unknown>, more: Record<string, unknown> = {}): Promise<Gatepass> {
		const {tokenEndpoint} = this.provider;
		const common = {tokenEndpoint, ...clients.post, clientAuthentication: 'client_secret_post'};
		return this.ended(
			await createRule(
				this.api.url,
				this.authority,
				{...common, audience: 'archive', ...options},
				{strategy: 'sso-token-exchange', ...more},
			),
		);
	}

	/** A token of a client, as somebody else would have got it. */
	async tokenOf(client: {clientId: string; clientSecret: string}, options = {}): Promise<string> {
		const methods = new Map<unknown, string>([
			[clients.secretJwt, 'client_secret_jwt'],
			[clients.post, 'client_secret_post'],
		]);
		await using gatepass = await createRule('https://127.0.0.1:9', this.authority, {
			tokenEndpoint: this.provider.tokenEndpoint,
			...client,
			clientAuthentication: methods.get(client) ?? 'client_secret_basic',
			...options,
		});
		const {headers} = await gatepass.authorize('https://127.0.0.1:9/');
		return headers.authorization?.replace('Bearer ', '') ?? '';
	}

	/** A strategy that shows a token of the client `report reader`. */
	nested(): {rule: {strategy: string; options: Record<string, unknown>}} {
		const {tokenEndpoint} = this.provider;
		return {rule: {strategy: 'sso-client-credentials', options: {tokenEndpoint, ...clients.basic}}};
	}

	/** The grants of all token requests so far, in short. */
	grants(): string[] {
		return this.provider.forms.map(({grant_type}) => String(grant_type).split(':').at(-1) ?? '');
	}
}
