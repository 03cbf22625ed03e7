/** Turns what is written about the local proxy into settings. What would let strangers in is a mistake. */
import {isLoopback} from '../strategy/hosts.ts';
import {resolvePath} from '../strategy/paths.ts';
import type {ValidationContext} from './context.ts';
import type {ConfigurationInput} from './schema.ts';
import {defaultListen, type ListenAddress, type ServeRoute, type ServeSettings} from './serve-settings.ts';
import type {Salvaged} from './settings.ts';
import {validatePatterns} from './validate-patterns.ts';

type ServeInput = Salvaged<NonNullable<ConfigurationInput['serve']>>;

/** Paths that are the proxy's own. */
const ownPath = '/-';

export function validateServe(input: ServeInput, context: ValidationContext): ServeSettings {
	const {problems, folder, environment} = context;
	const listen = validateListen(input.listen, context);
	const {certificate, key} = input.tls ?? {};
	const hasTls = certificate !== undefined && key !== undefined;
	if ('host' in listen && !isOnThisMachine(listen.host)) {
		if (!hasTls) {
			problems.add(
				['serve', 'listen'],
				'others than this machine could connect, and what they send could be read on the way',
				'Listen on 127.0.0.1, or add tls: with a certificate and its key',
			);
		}
		if (input.allowLocalUsers === true) {
			problems.add(
				['serve', 'allowLocalUsers'],
				'beyond this machine the secret is always asked for',
				'Take it out, or listen on 127.0.0.1',
			);
		}
	}
	return {
		listen,
		routes: validateRoutes(input.routes ?? {}, context),
		forward: input.forward ?? false,
		intercept: input.intercept ?? 'rules',
		pinned: validatePatterns(input.pinned as string[] | undefined, ['serve', 'pinned'], problems).map(
			({pattern}) => pattern,
		),
		...(input.secret !== undefined && {secret: input.secret}),
		allowLocalUsers: input.allowLocalUsers ?? false,
		redirects: input.redirects ?? 'return',
		...(hasTls && {
			tls: {
				certificate: resolvePath(certificate, folder, environment),
				key: resolvePath(key, folder, environment),
			},
		}),
	};
}

/** @param host without brackets. */
export function isOnThisMachine(host: string): boolean {
	return isLoopback(host.includes(':') ? `[${host}]` : host);
}

function validateListen(
	written: string | undefined,
	{problems, folder, environment}: ValidationContext,
): ListenAddress {
	if (written === undefined) return defaultListen;
	return parseListenAddress(written, folder, environment, (message, hint) =>
		problems.add(['serve', 'listen'], message, hint),
	);
}

/** Read `HOST:PORT` or `unix:PATH`. Where it is neither, `fault` is told, and what is returned is the default. */
export function parseListenAddress(
	written: string,
	folder: string,
	environment: ValidationContext['environment'],
	fault: (message: string, hint: string) => void,
): ListenAddress {
	if (written.startsWith('unix:')) {
		const path = resolvePath(written.slice('unix:'.length), folder, environment);
		// The system's limit (sun_path), with the zero at its end.
		if (Buffer.byteLength(path) > 107) {
			fault(
				'the path of the socket is longer than the system takes',
				'Write one of at most 107 bytes, such as unix:/run/user/1000/gatepass.sock',
			);
		}
		return {path};
	}
	const colon = written.lastIndexOf(':');
	const port = Number(written.slice(colon + 1));
	const host = written.slice(0, Math.max(colon, 0)).replace(/^\[(.*)\]$/, '$1');
	const url = URL.parse(`http://${host.includes(':') ? `[${host}]` : host}/`);
	if (!/:\d{1,5}$/.test(written) || port > 65_535 || host === '' || url === null || url.pathname !== '/') {
		fault(
			'it is neither HOST:PORT nor unix:PATH',
			'Write such as 127.0.0.1:8642, [::1]:8642 or unix:/run/user/1000/gatepass.sock',
		);
		return defaultListen;
	}
	return {host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port};
}

function validateRoutes(
	routes: Readonly<Record<string, unknown>>,
	{problems}: ValidationContext,
): readonly ServeRoute[] {
	const valid: ServeRoute[] = [];
	for (const [written, target] of Object.entries(routes)) {
		const path = ['serve', 'routes', written];
		const prefix = prefixOf(written);
		if (prefix === undefined) {
			problems.add(
				path,
				'a route begins with a slash and has no query, no dot segment and nothing that has to be encoded',
				'Write such as /runs',
			);
		} else if (`${prefix}/`.startsWith(`${ownPath}/`)) {
			problems.add(path, `what begins with ${ownPath}/ is the proxy's own`, 'Give the route another name');
		} else if (valid.some(route => route.prefix === prefix)) {
			problems.add(path, 'there is a route of that path already', 'Take one of them out');
		}
		if (typeof target !== 'string') continue;
		const url = URL.parse(target);
		if (url === null || !/^https?:$/.test(url.protocol) || /[?#]/.test(target) || url.username !== '') {
			problems.add(
				path,
				'it leads to no http(s) URL, or to one with a query, a fragment or user information',
				'Write such as https://cmsoms.cern.ch; what is secret belongs into a host rule',
			);
			continue;
		}
		url.pathname = url.pathname.replace(/\/$/, '');
		if (prefix !== undefined) valid.push({prefix, target: url});
	}
	return valid.sort((a, b) => b.prefix.length - a.prefix.length);
}

/** Without a slash at its end; `undefined` for what is no path, or not as `URL` would write it. */
function prefixOf(written: string): string | undefined {
	if (!written.startsWith('/') || written.includes('//')) return undefined;
	const url = URL.parse(written, 'http://proxy');
	return url?.pathname === written ? written.replace(/\/$/, '') : undefined;
}
