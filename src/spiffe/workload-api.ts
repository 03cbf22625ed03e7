/**
 * A subscription to the SPIFFE Workload API: what it pushes is in use at once. Where the stream ends, it is opened again,
 * as the standard asks for, and what was pushed last stays in use meanwhile.
 */
import type {Client, ClientReadableStream, ServiceError} from '@grpc/grpc-js';
import {CredentialUnavailableError} from '../errors.ts';
import {parseX509Response, type X509Response} from './response.ts';

/** Milliseconds to wait for the first answer. */
const longestWait = 10_000;
/** Milliseconds between tries to open the stream again. */
const shortestPause = 500;
const longestPause = 30_000;

const method = '/SpiffeWorkloadAPI/FetchX509SVID';

/** A subscription; see the head of this file. Not made by hand: ask {@link (WorkloadApis:interface)}. */
export class WorkloadApi {
	/** `unix:///run/spire/agent.sock`, or `tcp://127.0.0.1:8000`. */
	readonly address: string;
	#latest: X509Response | undefined;
	/** Counts the pushes. */
	#version = 0;
	/** Why there is no stream now. */
	#complaint: string | undefined;
	#first = Promise.withResolvers<void>();
	#client: Client | undefined;
	#stream: ClientReadableStream<X509Response> | undefined;
	#pause = shortestPause;
	#timer: NodeJS.Timeout | undefined;
	#isOpen = false;
	#isClosed = false;

	constructor(address: string) {
		this.address = address;
		this.#first.promise.catch(() => {});
	}

	/** What was pushed last; `undefined`: nothing yet. */
	get latest(): X509Response | undefined {
		return this.#latest;
	}

	get version(): number {
		return this.#version;
	}

	/** Why nothing new can come for now. */
	get complaint(): string | undefined {
		return this.#complaint;
	}

	/**
	 * What was pushed last; waits for the first push, for ten seconds at most.
	 *
	 * @throws {CredentialUnavailableError} where none comes.
	 */
	async get(): Promise<X509Response> {
		if (this.#latest !== undefined) return this.#latest;
		this.open();
		let timer: NodeJS.Timeout | undefined;
		const late = new Promise<void>(resolve => {
			timer = setTimeout(resolve, longestWait);
		});
		await Promise.race([this.#first.promise, late]).finally(() => clearTimeout(timer));
		if (this.#latest === undefined) throw this.#unavailable();
		return this.#latest;
	}

	/** Subscribe, if that is not done yet. */
	open(): void {
		if (this.#isOpen || this.#isClosed) return;
		this.#isOpen = true;
		void this.#connect();
	}

	close(): void {
		this.#isClosed = true;
		clearTimeout(this.#timer);
		this.#stream?.cancel();
		this.#client?.close();
		this.#first.resolve();
	}

	async #connect(): Promise<void> {
		try {
			const {Client, credentials, Metadata} = await loadGrpc();
			if (this.#isClosed) return;
			// A proxy of the environment is for other machines.
			this.#client ??= new Client(this.#target(), credentials.createInsecure(), {
				'grpc.enable_http_proxy': 0,
			});
			const metadata = new Metadata();
			// Who cannot set it cannot make others ask in their name (Workload API section 3).
			metadata.set('workload.spiffe.io', 'true');
			const stream = this.#client.makeServerStreamRequest(
				method,
				() => Buffer.alloc(0),
				bytes => parseX509Response(bytes),
				{},
				metadata,
			);
			this.#stream = stream;
			stream.on('data', (response: X509Response) => this.#take(response));
			stream.on('error', (error: ServiceError) => this.#fail(describe(error)));
			stream.on('end', () => this.#fail('it ended the stream'));
		} catch (error) {
			this.#fail((error as Error).message);
		}
	}

	#target(): string {
		return this.address.replace(/^tcp:\/\//, '');
	}

	#take(response: X509Response): void {
		this.#latest = response;
		this.#version += 1;
		this.#complaint = undefined;
		this.#pause = shortestPause;
		this.#first.resolve();
	}

	#fail(complaint: string): void {
		// An error is followed by an end.
		if (this.#isClosed || this.#timer !== undefined) return;
		this.#complaint = complaint;
		this.#first.resolve();
		this.#timer = setTimeout(() => {
			this.#timer = undefined;
			if (this.#latest === undefined) this.#first = Promise.withResolvers();
			void this.#connect();
		}, this.#pause);
		this.#timer.unref();
		this.#pause = Math.min(this.#pause * 2, longestPause);
	}

	#unavailable(): CredentialUnavailableError {
		const why = this.#complaint ?? `it has not answered within ${longestWait} ms`;
		return new CredentialUnavailableError({
			code: 'spiffe-unavailable',
			what: `The SPIFFE Workload API at ${this.address} gives no identity: ${why}`,
			hint: 'See whether the agent runs, whether this user may use its socket, and whether this workload is registered',
		});
	}
}

function describe({code, details}: ServiceError): string {
	// gRPC: PERMISSION_DENIED.
	if (code === 7) return 'it has no identity for this workload (permission denied)';
	const words = details.replace(/[^\x20-\x7E]+/g, ' ').slice(0, 200);
	return `${words === '' ? 'it failed' : words} (gRPC ${code})`;
}

async function loadGrpc(): Promise<typeof import('@grpc/grpc-js')> {
	try {
		return await import('@grpc/grpc-js');
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
		throw new Error(
			'the package @grpc/grpc-js, by which it is asked, is not installed (npm install @grpc/grpc-js)',
		);
	}
}

/** The subscriptions of one gatepass: one for each address. */
export class WorkloadApis {
	readonly #apis = new Map<string, WorkloadApi>();

	/** Does not subscribe yet. */
	at(address: string): WorkloadApi {
		let api = this.#apis.get(address);
		if (api === undefined) {
			api = new WorkloadApi(address);
			this.#apis.set(address, api);
		}
		return api;
	}

	close(): void {
		for (const api of this.#apis.values()) api.close();
	}
}

/** Whether a text names a Workload API: a socket by its path, or an address of this machine. */
export function isWorkloadAddress(text: string): boolean {
	return (
		/^unix:(?:\/\/\/|\/)?[^/].*$/.test(text) || /^tcp:\/\/(?:127(?:\.\d{1,3}){3}|\[::1\]):\d+$/.test(text)
	);
}
