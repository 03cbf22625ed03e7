/** The canonical name that the system's resolver has for a host, as Kerberos libraries ask for it. */
import type {Koffi} from './native.ts';

const canonicalName = 2;

type Resolver = (host: string) => string | undefined;
let resolver: Resolver | undefined;

/** The canonical name of a host, or the host itself where there is none. Blocks: for the worker thread only. */
export function canonicalHost(koffi: Koffi, host: string): string {
	resolver ??= makeResolver(koffi);
	return (resolver(host) ?? host).toLowerCase().replace(/\.$/, '');
}

/** `getaddrinfo`, as Node's own gives no canonical name. The order of two members is the system's. */
function makeResolver(koffi: Koffi): Resolver {
	const ends: Readonly<Record<string, string>> =
		process.platform === 'darwin'
			? {canonicalName: 'const char *', address: 'void *'}
			: {address: 'void *', canonicalName: 'const char *'};
	const info = koffi.struct({
		flags: 'int',
		family: 'int',
		type: 'int',
		protocol: 'int',
		length: 'uint32_t',
		...ends,
		next: 'void *',
	});
	// What the process itself would call.
	const system = koffi.load(null);
	const resolve = system.func('getaddrinfo', 'int', [
		'const char *',
		'const char *',
		koffi.pointer(info),
		koffi.out(koffi.pointer('void *')),
	]);
	const free = system.func('freeaddrinfo', 'void', ['void *']);
	return host => {
		const result: [bigint | null] = [null];
		const hints = {flags: canonicalName, family: 0, type: 0, protocol: 0, length: 0, next: null};
		const failed = resolve(host, null, {...hints, address: null, canonicalName: null}, result) as number;
		if (failed !== 0 || result[0] === null) return undefined;
		try {
			return (koffi.decode(result[0], info) as {canonicalName: string | null}).canonicalName ?? undefined;
		} finally {
			free(result[0]);
		}
	};
}
