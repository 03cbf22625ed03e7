/**
 * The composition root: the one file that registers services. A caller's own container is the parent, and what is
 * registered there takes the place of what would be registered here.
 */
import 'reflect-metadata';
import type {Got} from 'got';
import {type DependencyContainer, type InjectionToken, container as rootContainer} from 'tsyringe';
import {AuthenticatorFactory, InstallerFactory} from './certificates/factories.ts';
import {type Certificates, lazyCertificates} from './certificates/lazy.ts';
import type {Configuration} from './config/configuration.ts';
import type {LoadedConfiguration} from './config/load.ts';
import {StrategyNotFoundError} from './errors.ts';
import {converseWithProxy} from './hop/proxy-rule.ts';
import {type BoundRule, bindRules, HostRuleRouter} from './hop/router.ts';
import type {HostRule} from './host-rules/host-rule.ts';
import {Matcher} from './host-rules/matcher.ts';
import type {JudgeChain} from './identities/checks.ts';
import {lazyIdentities, loadIdentityStore} from './identities/lazy.ts';
import {Events} from './observability/events.ts';
import {WorkloadApis as OpenWorkloadApis} from './spiffe/workload-api.ts';
import {
	type AuthStrategy,
	Environment,
	HttpClient,
	Identities,
	type Identity,
	type NestedStrategy,
	Notices,
	Passphrases,
	RuleInfo,
	Strategies,
	type StrategyClass,
	StrategyOptions,
	TokenCache,
	WorkloadApis,
} from './strategy/index.ts';
import {TlsAgents} from './tls/agents.ts';
import {OwnedAgents} from './tls/isolated-agents.ts';
import {Ways} from './tls/ways.ts';
import {mayBeShared, openStorage, type StorageSource} from './tokens/open-storage.ts';
import {PersistentTokenCache} from './tokens/token-cache.ts';
import {UndiciPools} from './transports/undici/pools.ts';
import {noTrustStores, type TrustLookup} from './trust/no-trust-stores.ts';

/** The strategies that need no registration. Each is loaded when a rule names it. */
export const builtInStrategies: Readonly<Record<string, () => Promise<StrategyClass>>> = {
	'aws-sigv4': async () => (await import('../strategies/aws-sigv4/index.ts')).AwsSigv4Strategy,
	chain: async () => (await import('../strategies/chain/index.ts')).ChainStrategy,
	command: async () => (await import('../strategies/command/index.ts')).CommandStrategy,
	digest: async () => (await import('../strategies/digest/index.ts')).DigestStrategy,
	'grid-certificate': async () => {
		// It says in one step how a certificate was chosen.
		await loadIdentityStore();
		return (await import('../strategies/grid-certificate/index.ts')).GridCertificateStrategy;
	},
	'http-signature': async () => (await import('../strategies/http-signature/index.ts')).HttpSignatureStrategy,
	kerberos: async () => (await import('../strategies/kerberos/index.ts')).KerberosStrategy,
	'kerberos-stub': async () => (await import('../strategies/kerberos-stub/index.ts')).KerberosStubStrategy,
	macaroon: async () => (await import('../strategies/macaroon/index.ts')).MacaroonStrategy,
	none: async () => (await import('../strategies/none/index.ts')).NoneStrategy,
	'oidc-agent': async () => (await import('../strategies/oidc-agent/index.ts')).OidcAgentStrategy,
	spiffe: async () => (await import('../strategies/spiffe/index.ts')).SpiffeStrategy,
	'sso-client-credentials': async () =>
		(await import('../strategies/sso-client-credentials/index.ts')).SsoClientCredentialsStrategy,
	'sso-jwt-bearer': async () => (await import('../strategies/sso-jwt-bearer/index.ts')).SsoJwtBearerStrategy,
	'sso-token-exchange': async () =>
		(await import('../strategies/sso-token-exchange/index.ts')).SsoTokenExchangeStrategy,
	'static-token': async () => (await import('../strategies/static-token/index.ts')).StaticTokenStrategy,
	'wlcg-token': async () => (await import('../strategies/wlcg-token/index.ts')).WlcgTokenStrategy,
};

/** All that one gatepass consists of. */
export interface Composition {
	readonly router: HostRuleRouter;
	readonly matcher: Matcher<HostRule>;
	readonly rules: readonly BoundRule[];
	readonly tokens: TokenCache;
	readonly certificates: Certificates;
	/** For gatepass's own questions to servers. */
	readonly http: HttpClient;
	/** The connections of what undici sends. */
	readonly pools: UndiciPools;
	/** The ways out. */
	readonly ways: Ways;
	readonly events: Events;
	/** Wait, for a while, until what is pushed from elsewhere is there. Never rejects. */
	ready(): Promise<void>;
	/** End renewals and connections. */
	close(): Promise<void>;
}

/** What a caller may bring along. */
export interface ComposeSettings {
	readonly parent?: DependencyContainer | undefined;
	/** Takes the place of the store that the configuration names. */
	readonly store?: StorageSource | undefined;
	readonly events?: Events | undefined;
}

/** Put together the services and rules of a configuration. What its rules do not need is not loaded. */
export async function compose(
	{configuration, strategyOf, hasOwnStrategies}: LoadedConfiguration,
	{parent = rootContainer, store, events = new Events()}: ComposeSettings = {},
): Promise<Composition> {
	const {environment, folder, hostRules} = configuration;
	const container = parent.createChildContainer();
	const provide = <Service>(token: InjectionToken<Service>, create: () => Service): Service => {
		if (!container.isRegistered(token, true)) container.register(token, {useValue: create()});
		return container.resolve(token);
	};

	// Of a user's own strategies nobody knows what they ask in one step.
	if (hasOwnStrategies) await loadIdentityStore();
	// Loaded at the first request of gatepass's own.
	const got = async () => (await import('got')).default;
	const workloadApis = new OpenWorkloadApis();
	const trust = await openTrustStores(configuration, {got, events, workloadApis});
	const agents = new TlsAgents();
	const owned = new OwnedAgents();
	const ways = new Ways(configuration.proxy, {
		environment,
		openTls: async url => (await import('./tls/open-tls.ts')).openTlsBy(agents, trust)(url),
		// The rules are made below, by what is made with the ways.
		converse(proxy, method, attempt) {
			const rule = router.ruleForProxy(proxy);
			return rule && converseWithProxy(rule, {url: proxy.url, method, replayable: true}, attempt);
		},
	});
	const pools = new UndiciPools(ways);
	provide(WorkloadApis, () => workloadApis);
	provide(Environment, () => environment);
	const http = provide(HttpClient, (): HttpClient => {
		const load = async (): Promise<HttpClient> => {
			const {GotHttpClient} = await import('./http/http-client.ts');
			return new GotHttpClient(got, trust, agents, configuration.tokenRequest, ways);
		};
		let client: Promise<HttpClient> | undefined;
		const standIn: HttpClient = {
			async fetch(url, init) {
				client ??= load();
				const loaded = await client;
				// From now on without the way through here.
				standIn.fetch = loaded.fetch.bind(loaded);
				return loaded.fetch(url, init);
			},
		};
		return standIn;
	});
	provide(Identities, () => {
		const passphrases = container.isRegistered(Passphrases, true)
			? container.resolve(Passphrases)
			: undefined;
		const retire = (identity: Identity): void => {
			agents.retire(identity);
			owned.retire(identity);
			pools.retire(identity);
		};
		const judge: JudgeChain = chain => trust.judgeIdentity(chain);
		const lineages = configuration.certificates.folder;
		const services = {events, retire, passphrases, judge, lineages};
		return lazyIdentities(({IdentityStore}) => new IdentityStore(folder, environment, services), retire);
	});
	// What a caller registered is the caller's to close.
	const ownsTokens = !container.isRegistered(TokenCache, true);
	const openCache = (): TokenCache => {
		const {url, keys} = configuration.cache;
		const tls = () => trust.find(asHttps(url))?.tlsOptions();
		return new PersistentTokenCache(openStorage(store ?? url, tls), {keys, events});
	};
	const tokens = provide(TokenCache, openCache);

	const certificates = lazyCertificates(async () => {
		const [{CertificateManager}, {AcmeConnection}, plugIns, {userAgent}, {DirectHttpClient}] =
			await Promise.all([
				import('./certificates/manager.ts'),
				import('./issuers/acme/connection.ts'),
				import('./certificates/plug-ins.ts'),
				import('./certificates/user-agent.ts'),
				import('./http/direct-client.ts'),
			]);
		const settings = configuration.certificates;
		// Each try has to be signed again, so the client below makes one only.
		const http = new DirectHttpClient(trust, agents, {timeout: settings.timeout}, ways);
		const registered = <Factory>(token: InjectionToken<Factory>): Factory[] =>
			container.isRegistered(token, true) ? container.resolveAll(token) : [];
		const connections = new Map<string, InstanceType<typeof AcmeConnection>>();
		return new CertificateManager({
			settings,
			connect(directoryUrl) {
				const known = connections.get(directoryUrl);
				if (known !== undefined) return known;
				const {timeout} = settings;
				const made = new AcmeConnection({directoryUrl, http, userAgent: userAgent(settings), timeout});
				connections.set(directoryUrl, made);
				return made;
			},
			makeAuthenticator: wanted => plugIns.makeAuthenticator(wanted, registered(AuthenticatorFactory)),
			makeInstaller: (wanted, checkpoints) =>
				plugIns.makeInstaller(wanted, checkpoints, registered(InstallerFactory)),
			lease: mayBeShared(store ?? configuration.cache.url)
				? async (...wanted) => (tokens instanceof PersistentTokenCache ? tokens.lease(...wanted) : undefined)
				: undefined,
			report: event => events.publish('gatepass:certificate:renewal', event),
		});
	});

	const strategies: AuthStrategy[] = [];
	const build = ({strategy, options}: NestedStrategy, info: RuleInfo): AuthStrategy => {
		const scope = container.createChildContainer();
		scope.register(StrategyOptions, {useValue: options});
		scope.register(RuleInfo, {useValue: info});
		scope.register<Notices>(Notices, {
			useValue: {
				tell(notice) {
					const {match, strategy, source} = info;
					events.publish('gatepass:strategy:notice', {rule: {match, strategy, source}, notice});
				},
			},
		});
		scope.register<Strategies>(Strategies, {
			useValue: {
				build: nested => build(nested, info),
				async send(strategy, request) {
					const {sendOwn} = await import('./hop/send-own.ts');
					return sendOwn({info, strategy}, http, request);
				},
			},
		});
		// Every strategy that the configuration names was found when it was checked; one that asks for another may not say.
		const wanted = strategyOf(strategy);
		if (wanted === undefined) {
			throw new StrategyNotFoundError({
				code: 'strategy-not-found',
				what: `'${info.strategy}' (${info.source}) asks for the strategy '${strategy}', which is neither built in nor registered`,
				hint: "Name it under 'nested' of its definition, so that it is checked with the configuration",
			});
		}
		const built = scope.resolve(wanted as new (...services: unknown[]) => AuthStrategy);
		strategies.push(built);
		return built;
	};
	const rules = bindRules(hostRules, strategyOf, build, folder);
	const matcher = new Matcher(
		hostRules.flatMap(rule => rule.patterns.map(pattern => ({pattern, methods: rule.methods, value: rule}))),
	);
	const router: HostRuleRouter = new HostRuleRouter(
		matcher,
		rules,
		trust,
		agents,
		owned,
		ways,
		events,
		configuration.strict,
	);
	return {
		router,
		matcher,
		rules,
		tokens,
		certificates,
		http,
		pools,
		ways,
		events,
		ready: () => trust.ready(),
		async close() {
			router.close();
			const errors: unknown[] = [];
			// Side by side, and before what they were given.
			await Promise.all(strategies.map(strategy => gather(errors, () => strategy.dispose?.())));
			const others = [
				() => agents.close(),
				() => owned.close(),
				() => ways.close(),
				() => pools.destroy(),
				() => workloadApis.close(),
				() => trust.close(),
				() => (ownsTokens ? tokens.close() : undefined),
				() => container.dispose(),
			];
			for (const close of others) await gather(errors, close);
			if (errors.length === 1) throw errors[0];
			if (errors.length > 1) {
				throw new AggregateError(
					errors,
					`${errors.length} parts of gatepass could not be closed; the others are. See 'errors'`,
				);
			}
		},
	};
}

interface TrustServices {
	readonly got: () => Promise<Got>;
	readonly events: Events;
	readonly workloadApis: OpenWorkloadApis;
}

async function openTrustStores(
	{trust, environment}: Configuration,
	{got, ...services}: TrustServices,
): Promise<TrustLookup> {
	if (trust.length === 0) return noTrustStores;
	const [{TrustStores, usualListFolder}, {fileFetcher}] = await Promise.all([
		import('./trust/trust-stores.ts'),
		import('./http/fetch-file.ts'),
	]);
	const lists = {fetchList: fileFetcher(got), listFolder: usualListFolder(environment)};
	return new TrustStores(trust, {...lists, ...services});
}

/** What goes wrong with one part keeps no other open. */
async function gather(errors: unknown[], close: () => unknown): Promise<void> {
	try {
		await close();
	} catch (error) {
		errors.push(error);
	}
}

/** Trust stores are found by the URL of an https request; a store's server is one that is spoken to in another way. */
function asHttps(storeUrl: string): URL {
	return URL.parse(storeUrl.replace(/^[a-z]+:\/\//i, 'https://')) ?? new URL('https://invalid');
}
