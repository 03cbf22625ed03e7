/** Who may go on at once within one manager: some side by side, others alone. All wait in the order in which they came. */

interface Waiting {
	readonly isAlone: boolean;
	go(): void;
}

/** Admits who may go on. */
export class Turns {
	readonly #waiting: Waiting[] = [];
	#sharing = 0;
	#isAlone = false;

	/** @param isAlone whether nobody else may be at it meanwhile. */
	async take<Result>(isAlone: boolean, work: () => Promise<Result>): Promise<Result> {
		await new Promise<void>(go => {
			this.#waiting.push({isAlone, go});
			this.#admit();
		});
		try {
			return await work();
		} finally {
			if (isAlone) this.#isAlone = false;
			else this.#sharing -= 1;
			this.#admit();
		}
	}

	#admit(): void {
		for (;;) {
			const [next] = this.#waiting;
			if (next === undefined || this.#isAlone || (next.isAlone && this.#sharing > 0)) return;
			this.#waiting.shift();
			if (next.isAlone) this.#isAlone = true;
			else this.#sharing += 1;
			next.go();
		}
	}
}

/** What is done under the lock. */
type Work<Result> = (lost: AbortSignal) => Promise<Result>;

/** Takes turns at a folder that has a lock: those who go on side by side hold it together. */
export class FolderTurns {
	readonly #turns = new Turns();
	readonly #locked: (work: Work<void>) => Promise<void>;
	#holders = 0;
	#held: Hold | undefined;
	#failure: unknown;

	/** @param locked does its work under the lock, and gives it a signal that ends where the lock is lost. */
	constructor(locked: (work: Work<void>) => Promise<void>) {
		this.#locked = locked;
	}

	alone<Result>(work: Work<Result>): Promise<Result> {
		return this.#turns.take(true, async () => {
			let result: {readonly value: Result} | undefined;
			await this.#locked(async lost => {
				result = {value: await work(lost)};
			});
			return (result as unknown as {value: Result}).value;
		});
	}

	alongside<Result>(work: Work<Result>): Promise<Result> {
		return this.#turns.take(false, async () => {
			this.#holders += 1;
			this.#held ??= this.#hold();
			const held = this.#held;
			try {
				return await work(await held.ready);
			} catch (error) {
				this.#failure ??= error;
				throw error;
			} finally {
				this.#holders -= 1;
				if (this.#holders === 0) await this.#letGo(held);
			}
		});
	}

	#hold(): Hold {
		const [ready, over] = [Promise.withResolvers<AbortSignal>(), Promise.withResolvers<void>()];
		const ended = this.#locked(lost => {
			ready.resolve(lost);
			return over.promise;
		});
		ended.catch(ready.reject);
		// Where the lock was not to be had, nobody waits for it.
		over.promise.catch(() => {});
		return {ready: ready.promise, over, ended};
	}

	/** What was done under the lock counts as failed where a part of it has, such as on a full disk. */
	async #letGo({over, ended}: Hold): Promise<void> {
		const failure = this.#failure;
		this.#held = undefined;
		this.#failure = undefined;
		if (failure === undefined) over.resolve();
		else over.reject(failure);
		// Each of them was told.
		await ended.catch(() => {});
	}
}

interface Hold {
	readonly ready: Promise<AbortSignal>;
	readonly over: PromiseWithResolvers<void>;
	readonly ended: Promise<void>;
}
