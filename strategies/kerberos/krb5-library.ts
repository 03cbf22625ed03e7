/** libkrb5 through koffi: credential caches of both libraries, and with Heimdal what its GSS-API lacks. */
import type {LibraryHandle} from 'koffi';
import {
	type Koffi,
	LibraryMissing,
	type NativeCall,
	type Pointer,
	place,
	type TypeSpec,
	tryLoad,
} from './native.ts';

/** Credential caches. Each call gives an error code, 0 for none. */
export interface CacheCalls {
	/** Of this thread: the first parameter of each call. */
	readonly context: Pointer;
	/** Of the environment or the realm's configuration. */
	defaultCacheName(): string;
	/** The realm that [domain_realm] has for a host; empty: the KDC is to know. */
	realmOf(host: string): string;
	/** Which one is the default in this context; NULL: that of the environment or the realm's configuration. */
	readonly setDefaultCache: NativeCall;
	/** That, or the primary one of a collection. */
	readonly defaultCache: NativeCall;
	/** MIT alone: by `.k5identity` and by realms. Gives a cache, or a principal that is wanted, or both. */
	readonly selectCache: NativeCall | undefined;
	/** MIT alone: host, service, type; by the configuration's rules, with DNS where it says so. */
	readonly hostBasedPrincipal: NativeCall | undefined;
	readonly resolveCache: NativeCall;
	readonly cachePrincipal: NativeCall;
	/** The name by which a cache is resolved. */
	nameOfCache(cache: Pointer): string;
	readonly parseName: NativeCall;
	/** Heimdal alone: the kind of a name (RFC 4120 section 6.2). */
	readonly setNameType: NativeCall | undefined;
	nameOf(principal: Pointer): string;
	/** Of one type, or with MIT of the default's collection (the type is not looked at): see `eachCache`. */
	readonly iteration: CacheIteration;
	readonly initializeCache: NativeCall;
	/** From one cache into another, which was initialized. */
	readonly copyCache: NativeCall;
	readonly closeCache: NativeCall;
	readonly destroyCache: NativeCall;
	readonly freePrincipal: NativeCall;
}

/** Goes over the caches of a collection. */
export interface CacheIteration {
	/** Context, cursor: put where it says. */
	begin(type: string, cursor: [Pointer]): number;
	/** The next one is NULL after the last. */
	readonly next: NativeCall;
	end(cursor: [Pointer]): void;
}

/** What more there is of Heimdal. */
export interface Krb5Calls extends CacheCalls {
	/**
	 * Have the KDC say in which realm a service is, by its ticket, which goes into the cache.
	 *
	 * @returns the service's name with its realm; `undefined`: there is no ticket for it.
	 */
	referredName(cache: Pointer, client: Pointer, server: Pointer): string | undefined;
	/** What the library has to say of an error code that it has just given. */
	errorMessage(code: number): string;
	readonly storeCredential: NativeCall;
	/** Seconds until the ticket-granting ticket in a cache ends. */
	readonly cacheLifetime: NativeCall;
	readonly resolveKeytab: NativeCall;
	readonly closeKeytab: NativeCall;
	readonly initialCredentialsFromKeytab: NativeCall;
	readonly freeCredentialContents: NativeCall;
	readonly initialCredentialsFromPassword: NativeCall;
	/** Of its GSS-API: which cache is the default one in this thread. */
	readonly setThreadCache: NativeCall;
	/** Of its GSS-API: whether names of hosts are changed by DNS in this thread. */
	readonly setDnsCanonicalization: NativeCall;
	/** Whether the configuration says so. */
	canonicalizesByDns(): boolean;
}

const opaque = 'void *';

/** The same functions of both libraries, but for the name of one. */
function bindCaches(koffi: Koffi, library: LibraryHandle, kind: 'mit' | 'heimdal'): CacheCalls | number {
	const isMit = kind === 'mit';
	const out = koffi.out(koffi.pointer(opaque));
	const call = callsOf(library);
	const context = place();
	const failed = call('krb5_init_context', out)(context);
	if (failed !== 0) return failed;
	const hostRealm = call('krb5_get_host_realm', opaque, 'const char *', out);
	const freeHostRealm = call('krb5_free_host_realm', opaque, opaque);
	const fullName = call('krb5_cc_get_full_name', opaque, opaque, out);
	const unparse = call('krb5_unparse_name', opaque, opaque, out);
	const free = isMit
		? library.func('krb5_free_string', 'void', [opaque, opaque])
		: library.func('krb5_xfree', 'void', [opaque]);
	const textBy = (write: NativeCall, object: Pointer): string => {
		const text = place();
		if (write(context[0], object, text) !== 0 || text[0] === null) return '';
		try {
			return koffi.decode(text[0], 'char', -1) as string;
		} finally {
			free(...(isMit ? [context[0], text[0]] : [text[0]]));
		}
	};
	const defaultName = library.func('krb5_cc_default_name', 'const char *', [opaque]);
	return {
		context: context[0],
		defaultCacheName: () => (defaultName(context[0]) as string | null) ?? '',
		realmOf(host) {
			const realms = place();
			if (hostRealm(context[0], host, realms) !== 0 || realms[0] === null) return '';
			try {
				return (koffi.decode(realms[0], 'const char *') as string | null) ?? '';
			} finally {
				freeHostRealm(context[0], realms[0]);
			}
		},
		setDefaultCache: call('krb5_cc_set_default_name', opaque, 'const char *'),
		defaultCache: call('krb5_cc_default', opaque, out),
		selectCache: isMit ? call('krb5_cc_select', opaque, opaque, out, out) : undefined,
		hostBasedPrincipal: isMit
			? call('krb5_sname_to_principal', opaque, 'const char *', 'const char *', 'int32_t', out)
			: undefined,
		nameOfCache: cache => textBy(fullName, cache),
		parseName: call('krb5_parse_name', opaque, 'const char *', out),
		setNameType: isMit ? undefined : call('krb5_principal_set_type', opaque, opaque, 'int'),
		nameOf: principal => textBy(unparse, principal),
		iteration: isMit ? iterateMit(koffi, library, context[0]) : iterateHeimdal(koffi, library, context[0]),
		resolveCache: call('krb5_cc_resolve', opaque, 'const char *', out),
		cachePrincipal: call('krb5_cc_get_principal', opaque, opaque, out),
		initializeCache: call('krb5_cc_initialize', opaque, opaque, opaque),
		copyCache: call(isMit ? 'krb5_cc_copy_creds' : 'krb5_cc_copy_cache', opaque, opaque, opaque),
		closeCache: call('krb5_cc_close', opaque, opaque),
		destroyCache: call('krb5_cc_destroy', opaque, opaque),
		freePrincipal: call('krb5_free_principal', opaque, opaque),
	};
}

function iterateMit(koffi: Koffi, library: LibraryHandle, context: Pointer): CacheIteration {
	const call = callsOf(library);
	const out = koffi.out(koffi.pointer(opaque));
	const begin = call('krb5_cccol_cursor_new', opaque, out);
	const end = call('krb5_cccol_cursor_free', opaque, koffi.inout(koffi.pointer(opaque)));
	return {
		begin: (_type, cursor) => begin(context, cursor),
		next: call('krb5_cccol_cursor_next', opaque, opaque, out),
		end: cursor => void end(context, cursor),
	};
}

/** Not its collections: one of folders (`DIR`) among them ends the process. */
function iterateHeimdal(koffi: Koffi, library: LibraryHandle, context: Pointer): CacheIteration {
	const call = callsOf(library);
	const out = koffi.out(koffi.pointer(opaque));
	const begin = call('krb5_cc_cache_get_first', opaque, 'const char *', out);
	const end = call('krb5_cc_cache_end_seq_get', opaque, opaque);
	return {
		begin: (type, cursor) => begin(context, type, cursor),
		next: call('krb5_cc_cache_next', opaque, opaque, out),
		end: ([cursor]) => void end(context, cursor),
	};
}

/** `undefined`: the library can do without. */
export function bindMitCaches(koffi: Koffi): CacheCalls | undefined {
	const library = load(koffi, 'libkrb5.so.3');
	const bound = library === undefined ? 0 : bindCaches(koffi, library, 'mit');
	return typeof bound === 'number' ? undefined : bound;
}

/** @param gss binds a function of Heimdal's GSS-API with a minor status; `gssPlain`: without. */
export function bindKrb5(
	koffi: Koffi,
	gss: (name: string, ...types: unknown[]) => NativeCall,
	gssPlain: (name: string, ...types: unknown[]) => NativeCall,
): Krb5Calls {
	const library = load(koffi, 'libkrb5.so.26');
	if (library === undefined) {
		throw new LibraryMissing("Heimdal's libkrb5 cannot be loaded (Debian: libkrb5-26-heimdal)");
	}
	const caches = bindCaches(koffi, library, 'heimdal');
	if (typeof caches === 'number') {
		throw new LibraryMissing(
			`Heimdal cannot read its configuration (error ${caches}). Look at the file that KRB5_CONFIG names, or /etc/krb5.conf`,
		);
	}
	const {context} = caches;
	const call = callsOf(library);
	const out = koffi.out(koffi.pointer(opaque));
	const getCredentials = call('krb5_get_credentials', opaque, 'uint32_t', opaque, opaque, out);
	const freeCredentials = call('krb5_free_creds', opaque, opaque);
	const canonicalizes = call('krb5_get_dns_canonicalize_hostname', opaque);
	const getMessage = library.func('krb5_get_error_message', opaque, [opaque, 'int']);
	const freeMessage = library.func('krb5_free_error_message', 'void', [opaque, opaque]);
	// Its `krb5_get_host_realm` makes a realm up of the host's domain where none is configured.
	const configured = library.func('krb5_config_get_string', 'const char *', [
		...[opaque, opaque, 'const char *', 'const char *', '...'],
	]);
	return {
		...caches,
		realmOf(host) {
			for (let name = host; name !== ''; name = name.slice(1).replace(/^[^.]*/, '')) {
				const realm = configured(context, null, 'domain_realm', name, opaque, null) as string | null;
				if (realm !== null) return realm;
			}
			return '';
		},
		referredName(cache, client, server) {
			// `krb5_creds` begins with client and server, has some 200 bytes, and all else in it may be empty.
			const wanted = new BigUint64Array(128);
			wanted[0] = client ?? 0n;
			wanted[1] = server ?? 0n;
			const found = place();
			if (getCredentials(context, 0, cache, new Uint8Array(wanted.buffer), found) !== 0) return undefined;
			try {
				return caches.nameOf(koffi.decode(found[0], koffi.sizeof(opaque), opaque) as Pointer);
			} finally {
				freeCredentials(context, found[0]);
			}
		},
		errorMessage(code) {
			const message = getMessage(context, code) as bigint;
			try {
				return koffi.decode(message, 'char', -1) as string;
			} finally {
				freeMessage(context, message);
			}
		},
		storeCredential: call('krb5_cc_store_cred', opaque, opaque, opaque),
		cacheLifetime: call('krb5_cc_get_lifetime', opaque, opaque, koffi.out(koffi.pointer('int64_t'))),
		resolveKeytab: call('krb5_kt_resolve', opaque, 'const char *', out),
		closeKeytab: call('krb5_kt_close', opaque, opaque),
		initialCredentialsFromKeytab: call(
			'krb5_get_init_creds_keytab',
			...[opaque, opaque, opaque, opaque, 'int64_t', 'const char *', opaque],
		),
		initialCredentialsFromPassword: call(
			'krb5_get_init_creds_password',
			...[opaque, opaque, opaque, 'const char *', opaque, opaque, 'int64_t', 'const char *', opaque],
		),
		freeCredentialContents: call('krb5_free_cred_contents', opaque, opaque),
		setThreadCache: gss('gss_krb5_ccache_name', 'const char *', opaque),
		setDnsCanonicalization: gssPlain('gsskrb5_set_dns_canonicalize', 'int'),
		canonicalizesByDns: () => canonicalizes(context) !== 0,
	};
}

function load(koffi: Koffi, file: string): LibraryHandle | undefined {
	return tryLoad(koffi, file) ?? tryLoad(koffi, 'libkrb5.dylib');
}

function callsOf(library: LibraryHandle): (name: string, ...types: unknown[]) => NativeCall {
	return (name, ...types) => library.func(name, 'int', types as TypeSpec[]);
}
