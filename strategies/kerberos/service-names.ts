/** Which services a rule asks tickets for, as far as its patterns and options tell. */
import type {RuleInfo} from '../../src/strategy/index.ts';
import type {KerberosOptions} from './options.ts';

/** Host-based names, each once: `HTTP@www.example.org`. A wildcard names no host. */
export function servicesOf(
	{service, hostname, proxy}: Pick<KerberosOptions, 'service' | 'hostname' | 'proxy'>,
	{match}: Pick<RuleInfo, 'match'>,
): string[] {
	const hosts =
		hostname !== undefined
			? [hostname]
			: typeof proxy === 'string'
				? [hostOf(new URL(proxy))]
				: match.split(', ').flatMap(exactHostOf);
	return [...new Set(hosts)].map(host => `${service}@${host}`);
}

function exactHostOf(pattern: string): string[] {
	const url = URL.parse(
		(pattern.includes('://') ? pattern : `https://${pattern}`).replace(/:\*(?=\/|$)/, ''),
	);
	return url === null || url.hostname.includes('*') ? [] : [hostOf(url)];
}

/** The name without the dot that makes it absolute, and an IPv6 address without its brackets. */
export function hostOf({hostname}: URL): string {
	return hostname.replace(/\.$/, '').replace(/^\[(.*)\]$/, '$1');
}
