/** Work that is under way: shared by all who ask for it, called off where it is not wanted any more, and waited for within bounds. */

/** Why those reject who waited for work that was called off. */
class CalledOff extends Error {}

interface Flight<Result> {
	readonly promise: Promise<Result>;
	readonly controller: AbortController;
	readonly callOff: (reason: CalledOff) => void;
}

export class SingleFlight<Result> {
	readonly #flights = new Map<string, Flight<Result>>();

	/**
	 * Run `work` for the key unless it is running already; either way, what comes of it.
	 *
	 * @param work gets a signal that ends when nobody wants its result any more.
	 * @throws {CalledOff} where it was called off meanwhile.
	 */
	run(key: string, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
		return (this.#flights.get(key) ?? this.#begin(key, work)).promise;
	}

	/** Whoever waits for the key's work waits no longer, and whoever asks from now on gets a new run. */
	callOff(key: string): void {
		const flight = this.#flights.get(key);
		if (flight === undefined) return;
		this.#flights.delete(key);
		const reason = new CalledOff('This was called off');
		flight.callOff(reason);
		flight.controller.abort(reason);
	}

	/** Tell all work to come to an end, and wait for what becomes of it, but no longer than `limit` milliseconds. */
	async end(reason: Error, limit: number): Promise<void> {
		const flights = [...this.#flights.values()];
		for (const {controller} of flights) controller.abort(reason);
		await settledWithin(
			limit,
			flights.map(({promise}) => promise),
		);
	}

	#begin(key: string, work: (signal: AbortSignal) => Promise<Result>): Flight<Result> {
		const controller = new AbortController();
		const {promise, resolve, reject} = Promise.withResolvers<Result>();
		const flight: Flight<Result> = {promise, controller, callOff: reject};
		this.#flights.set(key, flight);
		const isOver = (): void => {
			if (this.#flights.get(key) === flight) this.#flights.delete(key);
		};
		work(controller.signal).then(
			result => {
				isOver();
				resolve(result);
			},
			error => {
				isOver();
				reject(error);
			},
		);
		return flight;
	}
}

/** What comes of the work; where it is called off, nobody waits for it any longer. */
export async function unlessCalledOff<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
	const {promise, reject} = Promise.withResolvers<never>();
	const give = (): void => {
		if (signal.reason instanceof CalledOff) reject(signal.reason);
	};
	signal.addEventListener('abort', give, {once: true});
	try {
		return await Promise.race([work, promise]);
	} finally {
		signal.removeEventListener('abort', give);
	}
}

/** Work that was called off is begun again, for those who still wait. */
export async function untilWanted<Result>(work: () => Promise<Result>): Promise<Result> {
	for (;;) {
		try {
			return await work();
		} catch (error) {
			if (!(error instanceof CalledOff)) throw error;
		}
	}
}

/** Wait until all have come to an end, but no longer than `limit` milliseconds. */
async function settledWithin(limit: number, promises: Iterable<Promise<unknown>>): Promise<void> {
	const {promise: timeout, resolve} = Promise.withResolvers<void>();
	const timer = setTimeout(resolve, limit);
	await Promise.race([Promise.allSettled(promises), timeout]);
	clearTimeout(timer);
}
