/**
 * The system's GSS-API (RFC 2744) through koffi: MIT's and Heimdal's library, as far as a client needs them.
 * Only the worker thread loads this, as every call here may block.
 */
import type {LibraryHandle} from 'koffi';
import {bindKrb5, bindMitCaches, type CacheCalls, type Krb5Calls} from './krb5-library.ts';
import {type Koffi, LibraryMissing, type NativeCall, type Pointer, type TypeSpec, tryLoad} from './native.ts';

/** `gss_buffer_desc`. */
export interface GssBuffer {
	readonly length: number | bigint;
	readonly value: Uint8Array | Pointer;
}

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
	/** Absent where libkrb5 is not found. */
	readonly caches: CacheCalls | undefined;
	/** Heimdal alone: what of libkrb5 makes up for `gss_acquire_cred_from`. */
	readonly krb5: Krb5Calls | undefined;
	/** Copy what the library allocated, and let go of it. */
	take(buffer: GssBuffer): Uint8Array<ArrayBuffer>;
}

/** The object identifiers in use, in DER without tag and length. */
export const oids = {
	/** GSS_C_NT_HOSTBASED_SERVICE */
	hostBased: oid('2a864886f71201020104'),
	/** GSS_C_NT_USER_NAME */
	user: oid('2a864886f71201020101'),
	/** GSS_KRB5_NT_PRINCIPAL_NAME */
	principal: oid('2a864886f71201020201'),
	/** MIT alone: the address of a `krb5_principal`. */
	principalStructure: oid('2a864886f71201020202'),
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

/** Where the libraries are found, by what a rule's `library` may say; in this order where it says nothing. */
const files: Readonly<Record<string, readonly string[]>> = {
	mit: ['libgssapi_krb5.so.2', 'libgssapi_krb5.dylib'],
	heimdal: ['libgssapi.so.3', 'libgssapi.dylib'],
};

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
	const plain = (name: string, ...types: unknown[]): NativeCall =>
		library.func(name, status, types as TypeSpec[]);
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
	const krb5 = acquireCredentialFrom === undefined ? bindKrb5(koffi, call, plain) : undefined;
	return {
		kind: krb5 === undefined ? 'mit' : 'heimdal',
		koffi,
		file,
		indicateMechanisms: call('gss_indicate_mechs', out(opaque)),
		importName: call('gss_import_name', pointer(buffer), pointer(oidType), out(opaque)),
		displayName: call('gss_display_name', opaque, out(buffer), opaque),
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
		caches: krb5 ?? bindMitCaches(koffi),
		krb5,
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
