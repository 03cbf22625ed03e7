/** Which trust stores a chain leads to: those of the configuration, the grid's, the bundles, the system's roots. */
import 'reflect-metadata';
import type {X509Certificate} from 'node:crypto';
import process from 'node:process';
import {bundleNames} from '../bundles/bundle.ts';
import type {TrustEntry} from '../config/configuration.ts';
import {loadConfiguration} from '../config/load.ts';
import {resolveAuthorities} from '../config/validate-trust.ts';
import {builtInStrategies} from '../container.ts';
import {CertificateError, ConfigurationError} from '../errors.ts';
import {isAboutUnknownCa} from '../tls/server-faults.ts';
import type {ChainVerdict, TrustStore} from '../trust/trust-store.ts';
import {createTrustSet, TrustStores} from '../trust/trust-stores.ts';
import type {TrustPurpose} from '../x509/trust-settings.ts';
import {refusalOf} from './inspected-server.ts';

export interface ChainTrust {
	/** `complete`: it leads to a CA that one of them trusts. */
	readonly outcome: 'complete' | 'incomplete' | 'unknown';
	/** Those that trust it. */
	readonly trustedBy: readonly string[];
	readonly revocation: 'good' | 'revoked' | 'unknown';
	/** What the trust stores have against it; each a sentence with its hint. */
	readonly problems: readonly string[];
}

interface Candidate {
	readonly name: string;
	readonly entry: TrustEntry;
}

const systemRoots = "the system's and Node's roots";
const systemEntry: TrustEntry = {patterns: [], files: [], only: false, source: 'system'};

/**
 * Judge a chain, leaf first.
 *
 * @param config the file given with `-c`; absent: the configuration that is found, if there is one without mistakes.
 * @param url the server that showed the chain: whether gatepass would trust it is judged, too.
 */
export async function judgeChain(
	chain: readonly X509Certificate[],
	config: string | undefined,
	url?: URL,
): Promise<ChainTrust> {
	const configured = await trustOf(config);
	const trustedBy: string[] = [];
	const problems = new Set<string>();
	const refused = new Set<string>();
	let outcome: ChainTrust['outcome'] = 'unknown';
	let revocation: ChainTrust['revocation'] = 'unknown';
	for (const {name, entry} of [...configured.map(ofConfiguration), ...wellKnown()]) {
		try {
			const store = createTrustSet(entry);
			const verdict = verifyFor(url === undefined ? ['client', 'server'] : ['server'], store, entry, chain);
			if (url !== undefined && verdict.end === 'complete' && verdict.faults.length === 0) {
				const refusal = await refusalOf(url, store);
				if (refusal !== undefined) {
					refused.add(name);
					problems.add(refusal.message);
					continue;
				}
			}
			if (verdict.end === 'complete') trustedBy.push(name);
			else if (verdict.end === 'incomplete' && outcome === 'unknown') outcome = 'incomplete';
			if (verdict.end !== 'complete' && verdict.end !== 'rejected') continue;
			if (verdict.end === 'complete') outcome = 'complete';
			if (verdict.revocation === 'revoked' || revocation === 'unknown') revocation = verdict.revocation;
			for (const {what, hint} of verdict.faults) {
				problems.add(`${what.slice(0, 1).toUpperCase()}${what.slice(1)} (${name}). ${hint}`);
			}
		} catch (error) {
			if (!(error instanceof CertificateError)) throw error;
			problems.add(error.message);
		}
	}
	if (url !== undefined) {
		const entry = new TrustStores(configured).find(url);
		const used = entry === undefined ? systemRoots : nameOf(entry.source);
		// Besides its own, an entry has the system's, unless it leaves them out.
		const isOnly = configured.find(({source}) => source === entry?.source)?.only ?? false;
		const isBelieved = trustedBy.includes(used) || (!isOnly && trustedBy.includes(systemRoots));
		if (!isBelieved && !refused.has(used)) {
			const refusal = await refusalOf(url, entry ?? createTrustSet(systemEntry));
			const isOther = refusal !== undefined && !isAboutUnknownCa((refusal.cause ?? {}) as {code?: string});
			problems.add(
				isOther
					? refusal.message
					: `Requests to ${url.origin} fail: its chain does not lead to ${used}. Name its CA under 'trust' in the configuration`,
			);
		}
	}
	return {outcome, trustedBy, revocation, problems: [...problems]};
}

/** The first verdict that lets the chain pass, else the first of all: a certificate may be a client's or a server's. */
function verifyFor(
	purposes: readonly TrustPurpose[],
	store: TrustStore,
	entry: TrustEntry,
	chain: readonly X509Certificate[],
): ChainVerdict {
	const verdicts = purposes.map(purpose => store.verifyChain(chain, {ownOnly: entry.only, purpose}));
	return (verdicts.find(({end}) => end === 'complete') ?? verdicts[0]) as ChainVerdict;
}

/** For a certificate, what is wrong with a configuration that nobody named does not matter. */
async function trustOf(config: string | undefined): Promise<readonly TrustEntry[]> {
	try {
		const {configuration} = await loadConfiguration({
			config,
			cwd: process.cwd(),
			env: process.env,
			strategies: [],
			builtIn: builtInStrategies,
		});
		return configuration.trust;
	} catch (error) {
		if (config === undefined && error instanceof ConfigurationError) return [];
		throw error;
	}
}

function ofConfiguration(entry: TrustEntry): Candidate {
	// The system's roots are a trust store of their own here.
	return {name: nameOf(entry.source), entry: {...entry, only: true}};
}

function nameOf(source: string): string {
	return source.startsWith('bundle:') ? source : `trust in ${source}`;
}

function wellKnown(): Candidate[] {
	const context = {folder: process.cwd(), environment: process.env};
	const named = ['grid', ...bundleNames().map(name => `bundle:${name}`)].flatMap(word => {
		const found = resolveAuthorities(word, context);
		if (!('file' in found)) return [];
		const name = word === 'grid' ? `the grid's CA folder ${found.file}` : word;
		return [{name, entry: {patterns: [], files: [found.file], only: true, source: word}}];
	});
	return [...named, {name: systemRoots, entry: systemEntry}];
}
