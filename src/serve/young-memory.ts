/**
 * Gives back what large bodies have gone through. Each of their chunks is a buffer outside of V8's heap with a tiny
 * object inside of it, so that V8, which goes by its heap, lets hundreds of megabytes of dead chunks pile up. A
 * collection of young objects takes about a millisecond: one for every few megabytes costs less than the memory.
 */
/** Bytes between two collections. */
const every = 16 * 1024 * 1024;

let sinceLast = 0;
let collect: (() => void) | undefined;

/** So many bytes of a body have gone through. */
export function noteBytes(bytes: number): void {
	sinceLast += bytes;
	if (sinceLast < every) return;
	sinceLast = 0;
	collect ??= findCollector();
	collect();
}

function findCollector(): () => void {
	try {
		// Few runs have a body that large; importing these two takes each of them some time.
		const {setFlagsFromString} = process.getBuiltinModule('node:v8');
		const {runInNewContext} = process.getBuiltinModule('node:vm');
		setFlagsFromString('--expose-gc');
		const gc = runInNewContext('gc') as (options: {type: 'minor'}) => void;
		return () => gc({type: 'minor'});
	} catch {
		// Without it, more memory is used, and given back later.
		return () => {};
	}
}
