/** What the bindings of native libraries have in common, through koffi. */
import type {LibraryHandle} from 'koffi';

/** A C function; it gives a status. */
export type NativeCall = (...values: unknown[]) => number;

/** A pointer, as koffi shows it. */
export type Pointer = bigint | null;

/** koffi's functions, and what it takes for a type. */
export type Koffi = typeof import('koffi').default;
export type TypeSpec = Parameters<Koffi['out']>[0];

/** What could not be loaded, and why. */
export class LibraryMissing extends Error {}

/** A place for a call to put a name, a context and so on in: plain pointers (RFC 2744 section 3.5). */
export const place = (): [Pointer] => [null];

/** Load a library and keep it; `undefined` where it is not there. */
export function tryLoad(koffi: Koffi, file: string): LibraryHandle | undefined {
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
