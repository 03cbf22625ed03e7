/** Talks to oidc-agent: one JSON request over its socket, and one answer (https://indigo-dc.gitbook.io/oidc-agent/api/api-ipc). */
import {connect} from 'node:net';

/** Bytes. A token has a few kilobytes. */
const largestAnswer = 1024 * 1024;

/** Why there is no answer. */
export type SilenceReason =
	/** Nothing listens there, or not for this user. */
	| {readonly kind: 'no agent'; readonly code: string}
	| {readonly kind: 'too slow' | 'too much'}
	/** It closed the connection. */
	| {readonly kind: 'nothing'};

export class AgentIsSilent extends Error {
	readonly reason: SilenceReason;

	constructor(reason: SilenceReason) {
		super(reason.kind);
		this.reason = reason;
	}
}

/**
 * What the agent answers.
 *
 * @throws {AgentIsSilent} where it does not.
 */
export function askAgent(
	socketPath: string,
	request: Readonly<Record<string, unknown>>,
	timeout: number,
	signal: AbortSignal,
): Promise<string> {
	signal.throwIfAborted();
	const {promise, resolve, reject} = Promise.withResolvers<string>();
	const socket = connect(socketPath);
	const chunks: Buffer[] = [];
	let size = 0;
	const fail = (reason: SilenceReason): void => {
		reject(new AgentIsSilent(reason));
		socket.destroy();
	};
	const callOff = (): void => {
		reject(signal.reason);
		socket.destroy();
	};
	const deadline = setTimeout(fail, timeout, {kind: 'too slow'});
	signal.addEventListener('abort', callOff, {once: true});
	socket.once('connect', () => socket.write(JSON.stringify(request)));
	socket.on('data', chunk => {
		size += chunk.length;
		chunks.push(chunk);
		if (size > largestAnswer) fail({kind: 'too much'});
		// It ends the connection after its answer; no need to wait for that.
		else if (isWhole(chunks)) resolve(Buffer.concat(chunks).toString('utf8'));
	});
	socket.once('error', ({code = 'unknown'}: NodeJS.ErrnoException) => fail({kind: 'no agent', code}));
	socket.once('close', () => {
		if (size === 0) fail({kind: 'nothing'});
		else resolve(Buffer.concat(chunks).toString('utf8'));
	});
	return promise.finally(() => {
		clearTimeout(deadline);
		signal.removeEventListener('abort', callOff);
		socket.destroy();
	});
}

function isWhole(chunks: readonly Buffer[]): boolean {
	const last = chunks.at(-1);
	if (last?.at(-1) !== 0x7d) return false;
	try {
		JSON.parse(Buffer.concat(chunks).toString('utf8'));
		return true;
	} catch {
		return false;
	}
}
