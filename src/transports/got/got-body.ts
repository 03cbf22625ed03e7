/** The body of a request of got: what it is, and how it is read whole before got sends it. */
import type {NormalizedOptions} from 'got';
import {StrategyError} from '../../errors.ts';
import {bytesOf} from '../body-bytes.ts';

export class GotBody {
	readonly #options: Pick<NormalizedOptions, 'body' | 'isStream' | 'method'>;
	#bytes: Uint8Array | undefined;

	constructor(options: Pick<NormalizedOptions, 'body' | 'isStream' | 'method'>) {
		this.#options = options;
	}

	/** What is sent: the bytes, once they were read. */
	get value(): unknown {
		return this.#bytes ?? this.#options.body;
	}

	/**
	 * Read it whole, and send what was read from then on. Before the first leg got is given the bytes, too: it sends
	 * that one by itself.
	 */
	async read(isSent: boolean): Promise<Uint8Array | undefined> {
		const {body, isStream, method} = this.#options;
		if (body === undefined && isStream === true && method !== 'GET' && method !== 'HEAD')
			throw writtenLater();
		this.#bytes = await bytesOf(body);
		if (!isSent && this.#bytes !== undefined && typeof body !== 'string' && !ArrayBuffer.isView(body)) {
			this.#options.body = this.#bytes;
		}
		return this.#bytes;
	}
}

function writtenLater(): StrategyError {
	return new StrategyError(
		'The strategy of this rule needs the whole body before it is sent, and what is written to a stream of got comes after the head. Give the body as `body`, which may be a stream, a file or a function that opens one',
	);
}
