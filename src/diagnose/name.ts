/** The third stage: the host's addresses, of both families, and whether its name leads to another one. */
import {promises as dns, type LookupAddress} from 'node:dns';
import {isIP} from 'node:net';
import {type Diagnostic, warning} from '../diagnostics/diagnostic.ts';
import type {Evidence} from '../strategy/index.ts';
import {ofNetwork} from './failures.ts';
import {type Found, placeOf, type Subject} from './stage.ts';
import {proxyFor} from './way.ts';

/** Milliseconds for a name server, for what is good to know only. */
const patience = 2000;

export async function lookAtName(subject: Subject, signal: AbortSignal): Promise<Found> {
	const {host} = placeOf(subject.url);
	if (isIP(host) !== 0) return {skipped: `${host} is an address`};
	try {
		const [addresses, aliasOf] = await Promise.all([
			dns.lookup(host, {all: true, order: 'verbatim'}),
			canonicalNameOf(host, signal),
		]);
		return {evidence: describe(addresses, aliasOf), diagnostics: doubts(host, aliasOf, subject)};
	} catch (error) {
		const found = ofNetwork(error as Error, host);
		// Names within the reach of a proxy only are the proxy's to look up.
		const isProxys = proxyFor(subject)?.isHeeded === true;
		return {diagnostics: [isProxys ? {...found, severity: 'warning'} : found]};
	}
}

function describe(addresses: readonly LookupAddress[], aliasOf: string | undefined): Evidence {
	const ofFamily = (wanted: number): string[] =>
		addresses.filter(({family}) => family === wanted).map(({address}) => address);
	return {IPv4: ofFamily(4), IPv6: ofFamily(6), ...(aliasOf !== undefined && {'alias of': aliasOf})};
}

/** Where the name is an alias (CNAME); the name server need not be asked for what `/etc/hosts` says. */
async function canonicalNameOf(host: string, signal: AbortSignal): Promise<string | undefined> {
	const resolver = new dns.Resolver({timeout: patience, tries: 1});
	const stop = (): void => resolver.cancel();
	signal.addEventListener('abort', stop, {once: true});
	try {
		const [name] = await resolver.resolveCname(host);
		return name === host ? undefined : name;
	} catch {
		return undefined;
	} finally {
		signal.removeEventListener('abort', stop);
	}
}

/** The service of an alias mostly goes by its own name. */
function doubts(host: string, aliasOf: string | undefined, {rule}: Subject): Diagnostic[] {
	if (aliasOf === undefined || rule?.info.strategy !== 'kerberos') return [];
	const {hostname, canonicalizeHostname} = (rule.rule.options ?? {}) as Record<string, unknown>;
	if (hostname !== undefined || canonicalizeHostname === true) return [];
	return [
		{
			...warning({
				code: 'kerberos-service-unknown',
				what: `${host} is an alias of ${aliasOf}, and tickets are asked for HTTP/${host}`,
				hint: "If the service goes by the other name, set 'canonicalizeHostname: true' or 'hostname'",
			}),
			severity: 'note',
		},
	];
}
