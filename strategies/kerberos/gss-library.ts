/**
 * The system's GSS-API (RFC 2744) through koffi: MIT's and Heimdal's library, as far as a client needs them.
 * Only the worker thread loads this, as every call here may block.
 */
import type {LibraryHandle} from 'koffi';

/** A C function; it gives a status. */
export type NativeCall = (...values: unknown[]) => number;

/** A pointer, as koffi shows it. */
export type Pointer = bigint | null;

/** `gss_buffer_desc`. */
export interface GssBuffer {
	readonly length: number | bigint;
	readonly value: Uint8Array | Pointer;
}

/** RFC 2744 section 3.5: nothing, a name, a context and so on are plain pointers, behind a place of their own. */
type Place<Value = Pointer> = [Value];

/** The calls that both libraries have. Each gives the major status; the first parameter takes the minor one. */
export interface GssCalls {
	readonly kind: 'mit' | 'heimdal';
	/** For what else is called beside the GSS-API. */
	readonly koffi: Koffi;
	/** The file that was loaded. */
	readonly file: string;
	/** Loads all mechanisms. */
	readonly indicateMechanisms: NativeCall;
	readonly importName: NativeCall;
	readonly displayName: NativeCall;
	readonly compareName: NativeCall;
	readonly releaseName: NativeCall;
	readonly acquireCredential: NativeCall;
	/** MIT alone. */
	readonly acquireCredentialFrom: NativeCall | undefined;
	readonly acquireCredentialWithPassword: NativeCall;
	readonly inquireCredential: NativeCall;
	readonly releaseCredential: NativeCall;
	readonly initSecContext: NativeCall;
	readonly deleteSecContext: NativeCall;
	readonly displayStatus: NativeCall;
	/** Heimdal alone: what of libkrb5 makes up for `gss_acquire_cred_from`. */
	readonly krb5: Krb5Calls | undefined;
	/** Copy what the library allocated, and let go of it. */
	take(buffer: GssBuffer): Uint8Array<ArrayBuffer>;
}

/** Of Heimdal's libkrb5. Each gives an error code, 0 for none. */
export interface Krb5Calls {
	readonly context: Pointer;
	readonly parseName: NativeCall;
	readonly freePrincipal: NativeCall;
	/** What the library has to say of an error code that it has just given. */
	errorMessage(code: number): string;
	readonly resolveCache: NativeCall;
	readonly defaultCache: NativeCall;
	/** Seconds until the ticket-granting ticket in a cache ends. */
	readonly cacheLifetime: NativeCall;
	readonly initializeCache: NativeCall;
	readonly storeCredential: NativeCall;
	readonly closeCache: NativeCall;
	readonly destroyCache: NativeCall;
	readonly resolveKeytab: NativeCall;
	readonly closeKeytab: NativeCall;
	readonly initialCredentialsFromKeytab: NativeCall;
	readonly freeCredentialContents: NativeCall;
	readonly initialCredentialsFromPassword: NativeCall;
	/** Of its GSS-API: which cache is the default one in this thread. */
	readonly setThreadCache: NativeCall;
}

/** The object identifiers in use, in DER without tag and length. */
export const oids = {
	/** GSS_C_NT_HOSTBASED_SERVICE */
	hostBased: oid('2a864886f71201020104'),
	/** GSS_C_NT_USER_NAME */
	user: oid('2a864886f71201020101'),
	/** GSS_KRB5_NT_PRINCIPAL_NAME */
	principal: oid('2a864886f71201020201'),
	krb5: oid('2a864886f712010202'),
	/** RFC 4178. */
	spnego: oid('2b0601050502'),
};

function oid(hexadecimal: string): {length: number; elements: Uint8Array} {
	const elements = Buffer.from(hexadecimal, 'hex');
	return {length: elements.length, elements};
}

/** A `gss_buffer_desc` over bytes of ours. */
export const bufferOf = (bytes: Uint8Array | undefined): GssBuffer => ({
	length: bytes?.length ?? 0,
	value: bytes ?? null,
});

/** A place for a call to put something in. */
export const place = (): Place => [null];

/** Where the libraries are found, by what a rule's `library` may say; in this order where it says nothing. */
const files: Readonly<Record<string, readonly string[]>> = {
	mit: ['libgssapi_krb5.so.2', 'libgssapi_krb5.dylib'],
	heimdal: ['libgssapi.so.3', 'libgssapi.dylib'],
};

/** What could not be loaded, and why. */
export class LibraryMissing extends Error {}

/** Load the library that `wanted` names: `mit`, `heimdal` or a file; the first there is where it names none. */
export async function loadGssLibrary(wanted: string | undefined): Promise<GssCalls> {
	const koffi = await loadKoffi();
	const candidates = wanted === undefined ? Object.values(files).flat() : (files[wanted] ?? [wanted]);
	for (const file of candidates) {
		const library = tryLoad(koffi, file);
		if (library !== undefined) return bind(koffi, library, file);
	}
	throw new LibraryMissing(
		`No GSS-API library can be loaded (${candidates.join(', ')}). Install MIT's (Debian: libgssapi-krb5-2) or Heimdal's (Debian: libgssapi3-heimdal), or name its file in the option 'library'`,
	);
}

/** koffi's functions, and what it takes for a type. */
export type Koffi = typeof import('koffi').default;
type TypeSpec = Parameters<Koffi['out']>[0];

async function loadKoffi(): Promise<Koffi> {
	try {
		return (await import('koffi')).default;
	} catch (error) {
		throw new LibraryMissing(
			"The strategy 'kerberos' needs the package koffi, which is not installed. Run 'npm install koffi'",
			{cause: error},
		);
	}
}

function tryLoad(koffi: Koffi, file: string): LibraryHandle | undefined {
	try {
		const library = koffi.load(file);
		pin(koffi, file);
		return library;
	} catch {
		return undefined;
	}
}

/**
 * Keep a library in the process for good. koffi lets go of it when the worker ends, and then what the library does at
 * the end of a thread would be code that is no longer there.
 */
function pin(koffi: Koffi, file: string): void {
	const now = 2;
	const noDelete = process.platform === 'darwin' ? 0x80 : 0x1000;
	koffi.load(null).func('dlopen', 'void *', ['const char *', 'int'])(file, now | noDelete);
}

function bind(koffi: Koffi, library: LibraryHandle, file: string): GssCalls {
	const {struct, pointer} = koffi;
	const out = (type: TypeSpec) => koffi.out(pointer(type));
	const inout = (type: TypeSpec) => koffi.inout(pointer(type));
	const status = 'uint32_t';
	const minor = out('uint32_t');
	const opaque = 'void *';
	const buffer = struct({length: 'size_t', value: opaque});
	const oidType = struct({length: 'uint32_t', elements: opaque});
	const oidSet = struct({count: 'size_t', elements: pointer(oidType)});
	const store = struct({
		count: 'uint32_t',
		elements: pointer(struct({key: 'const char *', value: 'const char *'})),
	});
	const bindings = struct({
		initiatorType: 'uint32_t',
		initiator: buffer,
		acceptorType: 'uint32_t',
		acceptor: buffer,
		application: buffer,
	});
	const call = (name: string, ...types: unknown[]): NativeCall =>
		library.func(name, status, [minor, ...types] as TypeSpec[]);
	const optional = (name: string, ...types: unknown[]): NativeCall | undefined => {
		try {
			return call(name, ...types);
		} catch {
			return undefined;
		}
	};
	const releaseBuffer = call('gss_release_buffer', inout(buffer));
	const acquireCredentialFrom = optional(
		'gss_acquire_cred_from',
		...[opaque, 'uint32_t', pointer(oidSet), 'int', pointer(store), out(opaque), opaque, out('uint32_t')],
	);
	return {
		kind: acquireCredentialFrom === undefined ? 'heimdal' : 'mit',
		koffi,
		file,
		indicateMechanisms: call('gss_indicate_mechs', out(opaque)),
		importName: call('gss_import_name', pointer(buffer), pointer(oidType), out(opaque)),
		displayName: call('gss_display_name', opaque, out(buffer), opaque),
		compareName: call('gss_compare_name', opaque, opaque, out('int')),
		releaseName: call('gss_release_name', inout(opaque)),
		acquireCredential: call(
			'gss_acquire_cred',
			...[opaque, 'uint32_t', pointer(oidSet), 'int', out(opaque), opaque, out('uint32_t')],
		),
		acquireCredentialFrom,
		acquireCredentialWithPassword: call(
			'gss_acquire_cred_with_password',
			...[opaque, pointer(buffer), 'uint32_t', pointer(oidSet), 'int', out(opaque), opaque, out('uint32_t')],
		),
		inquireCredential: call('gss_inquire_cred', opaque, out(opaque), out('uint32_t'), opaque, opaque),
		releaseCredential: call('gss_release_cred', inout(opaque)),
		initSecContext: call(
			'gss_init_sec_context',
			...[opaque, inout(opaque), opaque, pointer(oidType), 'uint32_t', 'uint32_t', pointer(bindings)],
			...[pointer(buffer), opaque, out(buffer), out('uint32_t'), opaque],
		),
		deleteSecContext: call('gss_delete_sec_context', inout(opaque), opaque),
		displayStatus: call(
			'gss_display_status',
			...['uint32_t', 'int', pointer(oidType), inout('uint32_t'), out(buffer)],
		),
		krb5: acquireCredentialFrom === undefined ? bindKrb5(koffi, call) : undefined,
		take(found) {
			const length = Number(found.length);
			// A view and not koffi's decoding into an array: that leaks for each buffer.
			const copy =
				length === 0 || found.value === null
					? new Uint8Array(0)
					: new Uint8Array(koffi.view(found.value as bigint, length)).slice();
			releaseBuffer([0], found);
			return copy;
		},
	};
}

function bindKrb5(koffi: Koffi, gss: (name: string, ...types: unknown[]) => NativeCall): Krb5Calls {
	const library = ['libkrb5.so.26', 'libkrb5.dylib']
		.map(file => tryLoad(koffi, file))
		.find(found => found !== undefined);
	if (library === undefined) {
		throw new LibraryMissing("Heimdal's libkrb5 cannot be loaded (Debian: libkrb5-26-heimdal)");
	}
	const opaque = 'void *';
	const out = koffi.out(koffi.pointer(opaque));
	const call = (name: string, ...types: unknown[]): NativeCall =>
		library.func(name, 'int', types as TypeSpec[]);
	const context = place();
	const failed = call('krb5_init_context', out)(context);
	if (failed !== 0) {
		throw new LibraryMissing(
			`Heimdal cannot read its configuration (error ${failed}). Look at the file that KRB5_CONFIG names, or /etc/krb5.conf`,
		);
	}
	const getMessage = library.func('krb5_get_error_message', opaque, [opaque, 'int']);
	const freeMessage = library.func('krb5_free_error_message', 'void', [opaque, opaque]);
	return {
		context: context[0],
		errorMessage(code) {
			const message = getMessage(context[0], code) as bigint;
			try {
				return koffi.decode(message, 'char', -1) as string;
			} finally {
				freeMessage(context[0], message);
			}
		},
		parseName: call('krb5_parse_name', opaque, 'const char *', out),
		freePrincipal: call('krb5_free_principal', opaque, opaque),
		resolveCache: call('krb5_cc_resolve', opaque, 'const char *', out),
		defaultCache: call('krb5_cc_default', opaque, out),
		cacheLifetime: call('krb5_cc_get_lifetime', opaque, opaque, koffi.out(koffi.pointer('int64_t'))),
		initializeCache: call('krb5_cc_initialize', opaque, opaque, opaque),
		storeCredential: call('krb5_cc_store_cred', opaque, opaque, opaque),
		closeCache: call('krb5_cc_close', opaque, opaque),
		destroyCache: call('krb5_cc_destroy', opaque, opaque),
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
	};
}
