/** A look at something that may hang, such as a network file system: shared by all who ask meanwhile, and not waited for for ever. */

export class LookInTime {
	readonly #look: () => Promise<void>;
	readonly #patience: number;
	/** Whether the look that is under way is done in time. */
	#underWay: Promise<boolean> | undefined;

	/**
	 * @param look never rejects.
	 * @param patience milliseconds.
	 */
	constructor(look: () => Promise<void>, patience: number) {
		this.#look = look;
		this.#patience = patience;
	}

	/**
	 * Look, and tell whether that was done in time. Where a look hangs, no other one is begun, which would hang, too; who
	 * asks then is told so at once.
	 */
	isDone(): Promise<boolean> {
		this.#underWay ??= this.#begin();
		return this.#underWay;
	}

	#begin(): Promise<boolean> {
		const {promise, resolve} = Promise.withResolvers<boolean>();
		const timer = setTimeout(resolve, this.#patience, false);
		void this.#look().then(() => {
			clearTimeout(timer);
			this.#underWay = undefined;
			resolve(true);
		});
		return promise;
	}
}
