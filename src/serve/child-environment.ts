/** The variables by which a program finds the proxy and trusts its CA. */
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {BlockList, isIP} from 'node:net';
import {join} from 'node:path';
import type {Pattern} from '../host-rules/pattern.ts';
import {homeFolder} from '../strategy/paths.ts';
import type {Environment} from '../strategy/services.ts';
import {type CaFiles, javaPassword} from './ca-files.ts';
import {addressIn} from './generation.ts';

export interface ChildSettings {
	/** With the secret as its user information: `http://gatepass:SECRET@127.0.0.1:PORT`. */
	readonly proxyUrl: string;
	/** The port for programs that cannot be given a secret. */
	readonly portWithoutSecret: number | undefined;
	readonly files: CaFiles;
	/** Where more files may be written. */
	readonly folder: string;
	readonly patterns: readonly Pattern[];
}

/** Names that are never anybody else's: what listens there is the user's own, where no rule says otherwise. */
const loopback = ['localhost', '127.0.0.1', '::1'];

export function childEnvironment(environment: Environment, settings: ChildSettings): Record<string, string> {
	const {proxyUrl, files, patterns} = settings;
	const noProxy = hostsWithoutProxy(environment.NO_PROXY ?? environment.no_proxy ?? '', patterns);
	const proxies = Object.fromEntries(
		['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'].flatMap(name => [
			[name, proxyUrl],
			[name.toLowerCase(), proxyUrl],
		]),
	);
	const defined = Object.fromEntries(
		Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
	);
	return {
		...defined,
		...proxies,
		NO_PROXY: noProxy.join(','),
		no_proxy: noProxy.join(','),
		NODE_USE_ENV_PROXY: '1',
		// Perl's LWP heeds the others only then.
		PERL_LWP_ENV_PROXY: '1',
		SSL_CERT_FILE: files.bundle,
		CURL_CA_BUNDLE: files.bundle,
		REQUESTS_CA_BUNDLE: files.bundle,
		GIT_SSL_CAINFO: files.bundle,
		PERL_LWP_SSL_CA_FILE: files.bundle,
		// It adds to what Node has.
		NODE_EXTRA_CA_CERTS: extraCas(environment.NODE_EXTRA_CA_CERTS, settings),
		X509_CERT_DIR: files.folder,
		WGETRC: wgetrc(environment, settings),
		JAVA_TOOL_OPTIONS: javaOptions(environment.JAVA_TOOL_OPTIONS, noProxy, settings),
		AWS_CA_BUNDLE: files.bundle,
		// davix, and with it gfal2, ROOT and xrdcp, knows proxies for HTTP only where it works with libcurl. There it takes
		// files of servers without a rule for empty that speak HTTP/2 (findings/davix-header-case.sh): so there is a way out.
		DAVIX_USE_LIBCURL: environment.DAVIX_USE_LIBCURL ?? '1',
	};
}

/** What `NO_PROXY` said, without what a rule is for; and this machine, where no rule names it. */
export function hostsWithoutProxy(before: string, patterns: readonly Pattern[]): string[] {
	const kept = before
		.split(/[\s,]+/)
		.filter(entry => entry !== '' && !patterns.some(pattern => covers(entry, pattern)));
	const own = loopback.filter(
		host => !kept.includes(host) && !patterns.some(pattern => namesLoopback(pattern, host)),
	);
	return [...kept, ...own];
}

/** One name of this machine stands for all of them: programs turn one into another. */
function namesLoopback(pattern: Pattern, host: string): boolean {
	const bare = addressIn(pattern.host) ?? pattern.host;
	return pattern.kind === 'exact' && (loopback.includes(bare) || bare === host);
}

/** Whether an entry of `NO_PROXY` would keep requests from a rule. Programs read it in ways of their own: any counts. */
function covers(entry: string, {kind, host}: Pattern): boolean {
	if (entry === '*' || kind === 'any') return true;
	const bare = addressIn(host) ?? host;
	const name = entry
		.replace(/^\[(.*)\](?::\d+)?$/, '$1')
		.replace(/^([^:]+):\d+$/, '$1')
		.toLowerCase();
	if (isIP(bare) !== 0) return coversAddress(name, bare);
	const [, star, end = ''] = /^(?:\*?\.|(\*))?(.*)$/s.exec(name) ?? [];
	// With a star alone it is an end of letters, else one of whole names.
	const isAbove = bare === end || bare.endsWith(star === undefined ? `.${end}` : end);
	return isAbove || (kind === 'wildcard' && end.endsWith(`.${bare}`));
}

/** @param name an address or a network, in any form; or something else. */
function coversAddress(name: string, address: string): boolean {
	const [net = '', bits] = name.split('/');
	if (isIP(net) !== isIP(address)) return false;
	const family = isIP(net) === 6 ? 'ipv6' : 'ipv4';
	const block = new BlockList();
	try {
		block.addSubnet(net, Number(bits ?? (family === 'ipv6' ? 128 : 32)), family);
	} catch {
		return false;
	}
	return block.check(address, family);
}

function extraCas(before: string | undefined, {files, folder}: ChildSettings): string {
	if (before === undefined || before === '' || !existsSync(before)) return files.own;
	const file = join(folder, 'node-extra-ca.pem');
	writeFileSync(file, `${readFileSync(before, 'utf8').trimEnd()}\n${readFileSync(files.own, 'utf8')}`);
	return file;
}

/** wget that is built with GnuTLS knows no variable for CA files; its own settings stay. */
function wgetrc(environment: Environment, {files, folder}: ChildSettings): string {
	const own = environment.WGETRC ?? join(homeFolder(environment), '.wgetrc');
	const before = existsSync(own) ? `${readFileSync(own, 'utf8').trimEnd()}\n` : '';
	const file = join(folder, 'wgetrc');
	writeFileSync(file, `${before}ca_certificate = ${files.bundle}\n`, {mode: 0o600});
	return file;
}

/** Java can be told no secret of a proxy: it gets the port at which its user is looked up. */
function javaOptions(
	before: string | undefined,
	noProxy: readonly string[],
	{files, portWithoutSecret: port}: ChildSettings,
): string {
	const proxy =
		port === undefined
			? []
			: ['http', 'https'].flatMap(scheme => [
					`-D${scheme}.proxyHost=127.0.0.1`,
					`-D${scheme}.proxyPort=${port}`,
				]);
	// To any list Java adds this machine, which only an empty one leaves out (DefaultProxySelector).
	const isMachineNamed = loopback.some(host => !noProxy.includes(host));
	const without = (isMachineNamed ? [] : noProxy).map(host =>
		host.startsWith('.') ? `*${host}` : host.includes(':') ? `[${host}]` : host,
	);
	const options = [
		...proxy,
		`-Dhttp.nonProxyHosts=${without.join('|')}`,
		`-Djavax.net.ssl.trustStore=${files.java}`,
		'-Djavax.net.ssl.trustStoreType=JKS',
		`-Djavax.net.ssl.trustStorePassword=${javaPassword}`,
	];
	return [...(before === undefined || before === '' ? [] : [before]), ...options].join(' ');
}
