/**
 * Keeps a record in a private field of an object that is not ours, where nobody else can find or print it.
 *
 * A WeakMap says the same more plainly; but it was measured: an entry for each request costs two hundredths of got's
 * throughput, for the garbage collector goes through all of them.
 */

/** Makes its subclass's fields those of the object it is given: a constructor may return another object. */
class Itself {
	constructor(object: object) {
		// biome-ignore lint/correctness/noConstructorReturn: this is how a private field gets into an object of another class.
		return object;
	}
}

export class HiddenRecord extends Itself {
	readonly #record: unknown;

	constructor(holder: object, record: unknown) {
		super(holder);
		this.#record = record;
	}

	/** The record in `holder`, if one was put there. */
	static of<Record>(holder: object): Record | undefined {
		return #record in holder ? (holder.#record as Record) : undefined;
	}
}
