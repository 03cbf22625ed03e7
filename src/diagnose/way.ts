/** The fourth stage: whether the request goes through a proxy, and who says so. */
import {type Diagnostic, diagnostic} from '../diagnostics/diagnostic.ts';
import type {Evidence} from '../strategy/index.ts';
import {type Found, placeOf, type Subject} from './stage.ts';

/** A proxy that something names for the request. */
export interface NamedProxy {
	readonly url: URL;
	/** Who names it: a rule or a variable. */
	readonly namedBy: string;
	/** Whether the request goes through it. */
	readonly isHeeded: boolean;
}

export function lookAtWay(subject: Subject): Found {
	const proxy = proxyFor(subject);
	if (proxy === undefined) {
		const passedOver = passedOverBy(subject);
		return {evidence: {proxy: 'none', ...(passedOver !== undefined && {exception: passedOver})}};
	}
	const {url, namedBy, isHeeded} = proxy;
	const evidence: Evidence = {proxy: url.origin, 'named by': namedBy, heeded: isHeeded};
	if (isHeeded) {
		subject.known.proxy = url;
		return {evidence};
	}
	const doubt = notHeeded(proxy, subject.url.host);
	subject.known.wayDoubt = doubt;
	return {evidence, diagnostics: [{...doubt, severity: 'warning'}]};
}

function notHeeded({namedBy, url}: NamedProxy, host: string): Diagnostic {
	return diagnostic({
		code: 'proxy-not-heeded',
		what: `${namedBy} names the proxy ${url.origin}, and requests to ${host} do not go through it`,
		hint: "Set NODE_USE_ENV_PROXY=1, or 'proxy: environment' in the configuration, to have the variable heeded",
	});
}

/** `undefined`: nothing names one. */
export function proxyFor({url, rule, way, environment}: Subject): NamedProxy | undefined {
	const {proxy} = (rule?.rule.options ?? {}) as {readonly proxy?: unknown};
	if (rule?.info.strategy === 'kerberos' && typeof proxy === 'string') {
		return {url: new URL(proxy), namedBy: `the rule (${rule.info.source})`, isHeeded: true};
	}
	const heeded = way?.proxyFor(url);
	if (heeded !== undefined) {
		return {url: heeded.url, namedBy: heeded.source.replace(/^\$/, ''), isHeeded: true};
	}
	const [name, text] = variableFor(url, environment) ?? [];
	const named = text === undefined ? null : URL.parse(text.includes('://') ? text : `http://${text}`);
	if (name === undefined || named === null || isExcepted(url, environment)) return undefined;
	return {url: named, namedBy: name, isHeeded: false};
}

function variableFor(
	{protocol}: URL,
	environment: Subject['environment'],
): readonly [name: string, value: string] | undefined {
	const names = protocol === 'https:' ? ['https_proxy', 'HTTPS_PROXY'] : ['http_proxy', 'HTTP_PROXY'];
	for (const name of names) {
		const value = environment[name];
		if (value !== undefined && value !== '') return [name, value];
	}
	return undefined;
}

function passedOverBy({url, environment}: Subject): string | undefined {
	return variableFor(url, environment) !== undefined && isExcepted(url, environment)
		? 'NO_PROXY excepts the host'
		: undefined;
}

/** As curl and Node take it: names with what is below them, addresses, each with or without a port; `*` is all. */
function isExcepted(url: URL, environment: Subject['environment']): boolean {
	const {host, port} = placeOf(url);
	return (environment.no_proxy ?? environment.NO_PROXY ?? '')
		.split(/[\s,]+/)
		.filter(entry => entry !== '')
		.some(entry => {
			if (entry === '*') return true;
			const [, name = '', wanted] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
			if (wanted !== undefined && Number(wanted) !== port) return false;
			const suffix = name.toLowerCase().replace(/^\*?\.?/, '');
			return host === suffix || host.endsWith(`.${suffix}`);
		});
}
