/** All that `gatepass doctor` looks at, in order. */
import 'reflect-metadata';
import {join} from 'node:path';
import process from 'node:process';
import {container as rootContainer} from 'tsyringe';
import type {Configuration} from '../config/configuration.ts';
import {type LoadedConfiguration, loadConfiguration} from '../config/load.ts';
import {builtInStrategies} from '../container.ts';
import {type Diagnostic, diagnostic, warning} from '../diagnostics/diagnostic.ts';
import {CertificateError, ConfigurationError, GatepassError} from '../errors.ts';
import {createFromLoaded} from '../gatepass.ts';
import type {RuleStatus} from '../rule-status.ts';
import {definitionOf, Identities, type Passphrases} from '../strategy/index.ts';
import {checkClock} from './check-clock.ts';
import {checkCacheFiles, checkEnvironmentFile, checkKeyFile} from './check-files.ts';
import {checkNode} from './check-node.ts';
import {checkRules} from './check-rules.ts';
import {type Finding, ok, told} from './finding.ts';
import {WatchedIdentities} from './known-identities.ts';
import {count, describeTime} from './output.ts';
import {type TokenStoreTroubles, watchTokenStore} from './token-store-failures.ts';

export interface Examination {
	/** The file given with `-c`. */
	readonly config: string | undefined;
	readonly network: boolean;
	/** Asked where a key is encrypted and no option says with what. */
	readonly passphrases?: Passphrases;
}

/** A certificate that ends sooner than this, in milliseconds, is to be renewed; one that never lives long, in its last third. */
const soon = 14 * 86_400_000;

/** Look at everything. What is wrong with the configuration is found like anything else, not thrown. */
export async function examine({config, network, passphrases}: Examination): Promise<Finding[]> {
	const findings = [checkNode(process.versions.node)];
	let loaded: LoadedConfiguration;
	try {
		const {env} = process;
		const cwd = process.cwd();
		loaded = await loadConfiguration({config, cwd, env, strategies: [], builtIn: builtInStrategies});
	} catch (error) {
		if (!(error instanceof ConfigurationError)) throw error;
		return [...findings, ...toldOf('configuration', error), checkClock([process.execPath], Date.now())];
	}
	const {configuration} = loaded;
	const {file, folder, hostRules} = configuration;
	const environmentFile = join(folder, '.env');
	findings.push(describeConfiguration(configuration), ...checkRules(hostRules));
	findings.push(...(await checkBundles(configuration)));
	findings.push(...(await checkTrust(configuration)), ...checkEnvironmentFile(environmentFile));
	// Before the cache is opened, which sets its rights right and so would hide what they were.
	findings.push(...checkCacheFiles(configuration.cache));
	const identities = new WatchedIdentities(configuration, passphrases);
	findings.push(...(await checkCredentials(loaded, identities, network)));
	for (const key of identities.keys) {
		// A key that others may read is not used, which was told above.
		const isTold = findings.some(({hint}) => hint?.includes(`chmod 600 ${key}'`));
		if (!isTold) findings.push(...(await checkKeyFile(key)));
	}
	const used = [...identities.identities].flatMap(({files}) => [files.certificate, files.key]);
	const written = [process.execPath, environmentFile, ...used, ...(file === undefined ? [] : [file])];
	findings.push(checkClock(written, Date.now()));
	if (network) {
		const {checkNetwork} = await import('./check-network.ts');
		findings.push(...(await checkNetwork(urlsOf(loaded), configuration)));
	}
	return findings;
}

function describeConfiguration({file, hostRules, trust}: Configuration): Finding {
	if (hostRules.length === 0) {
		const what = 'It has no host rules, so every request is sent as it is';
		const hint = "Add some under 'hostRules'";
		return told('configuration', warning({code: 'no-host-rules', what, hint}), {where: file});
	}
	const parts = [count(hostRules.length, 'host rule')];
	if (trust.length > 0) parts.push(`trust for ${count(trust.length, 'group')} of servers`);
	return ok('configuration', `it has ${parts.join(' and ')}`, file);
}

/** Loaded where there is something to look at. */
async function checkBundles({bundles}: Configuration): Promise<Finding[]> {
	return bundles.length === 0 ? [] : (await import('./check-bundles.ts')).checkBundles(bundles);
}

async function checkTrust({trust}: Configuration): Promise<Finding[]> {
	if (trust.length === 0) return [];
	const {createTrustSet} = await import('../trust/trust-stores.ts');
	return trust.flatMap(entry => {
		// An agent is asked where its identity is looked at.
		if (entry.workloadApi !== undefined) return [];
		try {
			const set = createTrustSet(entry);
			set.certificates();
			return set.problems().map(problem => told('trust', problem, {where: entry.source}));
		} catch (error) {
			if (!(error instanceof CertificateError)) throw error;
			return toldOf('trust', error, {where: entry.source});
		}
	});
}

async function checkCredentials(
	loaded: LoadedConfiguration,
	identities: WatchedIdentities,
	network: boolean,
): Promise<Finding[]> {
	const container = rootContainer.createChildContainer();
	container.register(Identities, {useValue: identities});
	const gatepass = await createFromLoaded(loaded, {container});
	const store = watchTokenStore();
	try {
		const findings = (await gatepass.status({verify: network})).flatMap(describeCredential);
		if (network) {
			const {checkTokens} = await import('./check-tokens.ts');
			findings.push(...(await checkTokens(gatepass, loaded)));
		}
		for (const {files, notBefore, notAfter} of identities.identities) {
			if (notAfter - Date.now() > Math.min(soon, (notAfter - notBefore) / 3)) continue;
			const what = `The certificate expires at ${describeTime(notAfter)}`;
			const found = {
				code: 'certificate-expires-soon',
				what,
				hint: 'Renew it',
				where: files.certificate,
			} as const;
			findings.push(told('credential', warning(found)));
		}
		return [...findings, ...describeTroubles(store.stop())];
	} finally {
		store.stop();
		await gatepass.close();
		await container.dispose();
	}
}

function describeTroubles({failures, unusable}: TokenStoreTroubles): Finding[] {
	const [failure] = failures;
	const findings = unusable.flatMap(({diagnostics}) =>
		diagnostics.map(({code, what, where}) => {
			const hint = "Run 'gatepass forget' to clear it away";
			return told('token cache', warning({code, what, hint, ...(where !== undefined && {where})}));
		}),
	);
	if (failure === undefined) return findings;
	const {errstr, code, name} = failure.cause as {errstr?: string; code?: string; name?: string};
	// What other libraries say is not repeated: the URL of a store may hold a password.
	const reason = failure.cause instanceof GatepassError ? failure.cause.message : (errstr ?? code ?? name);
	const what = `It cannot be used (${reason}); each run fetches its own tokens`;
	const hint = 'Check the store, or change cache.url';
	return [...findings, told('token cache', diagnostic({code: 'token-store-failed', what, hint}))];
}

function describeCredential({
	match,
	strategy,
	source,
	available,
	detail,
	diagnostics,
}: RuleStatus): Finding[] {
	const subject = `${match} (${strategy})`;
	if (available && diagnostics.length === 0) return [ok('credential', `${subject}: ${detail}`, source)];
	const about = available ? `${subject}: ${detail}` : subject;
	return diagnostics.map(found => told('credential', found, {subject: about, where: source}));
}

function toldOf(check: string, {diagnostics}: GatepassError, settings?: {where?: string}): Finding[] {
	return diagnostics.map((found: Diagnostic) => told(check, found, settings));
}

/** Where the rules' hosts and token endpoints are; a wildcard names no host that could be asked. */
function urlsOf({configuration, strategyOf}: LoadedConfiguration): URL[] {
	const urls = new Map<string, URL>();
	const add = (text: string): void => {
		const url = URL.parse(text);
		if (url !== null) urls.set(url.href, url);
	};
	for (const {patterns, strategy, options} of configuration.hostRules) {
		for (const {kind, scheme, host, port, path} of patterns) {
			if (kind !== 'exact') continue;
			add(`${scheme}://${host}${port === '' || port === '*' ? '' : `:${port}`}${path}`);
		}
		for (const endpoint of definitionOf(strategyOf(strategy))?.endpoints?.(options) ?? []) add(endpoint);
	}
	return [...urls.values()];
}
