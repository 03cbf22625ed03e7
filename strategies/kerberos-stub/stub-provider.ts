/**
 * A GSS-API that needs no realm. Both sides hold a key that stands in this file, so it proves nothing; but its
 * tokens are as those of Kerberos in form: the client's names the service and the principal, the server's proves
 * that it has seen that very token.
 */
import {createHmac, randomBytes, timingSafeEqual} from 'node:crypto';
import {KerberosExchangeError} from '../../src/errors.ts';
import type {GssContext, GssContextRequest, GssProvider} from '../kerberos/gss-provider.ts';

/** What a client's token says. */
export interface StubTicket {
	readonly target: string;
	readonly principal: string;
	readonly nonce: string;
}

const defaultPrincipal = 'developer@STUB.INVALID';

export class StubProvider implements GssProvider {
	readonly description = 'stub in place of Kerberos, for development and tests only';
	readonly #principal: string;

	constructor(principal = defaultPrincipal) {
		this.#principal = principal;
	}

	async whose(): Promise<string> {
		return this.#principal;
	}

	async createContext(request: GssContextRequest): Promise<GssContext> {
		return new StubContext(request, this.#principal);
	}
}

class StubContext implements GssContext {
	readonly token: Uint8Array;
	readonly #ticket: StubTicket;
	isComplete: boolean;

	constructor({target, mutualAuthentication}: GssContextRequest, principal: string) {
		this.#ticket = {target, principal, nonce: randomBytes(16).toString('hex')};
		this.token = seal(this.#ticket);
		this.isComplete = !mutualAuthentication;
	}

	async step(input: Uint8Array): Promise<Uint8Array> {
		const expected = replyTo(this.#ticket);
		if (input.length !== expected.length || !timingSafeEqual(input, expected)) {
			throw new KerberosExchangeError({
				code: 'server-proof-wrong',
				what: "The server's token does not answer the one that was sent",
				hint: '',
			});
		}
		this.isComplete = true;
		return new Uint8Array(0);
	}

	dispose(): void {}
}

/** The server's side: what a client's token says, or `undefined` where it is none. */
export function openStubToken(token: Uint8Array): StubTicket | undefined {
	try {
		const {mac, ...ticket} = JSON.parse(Buffer.from(token).toString('utf8')) as StubTicket & {mac: string};
		return mac === macOf('client', ticket).toString('hex') ? ticket : undefined;
	} catch {
		return undefined;
	}
}

/** The server's side: the token that proves it has seen the client's. */
export function replyTo(ticket: StubTicket): Uint8Array {
	return macOf('server', ticket);
}

function seal(ticket: StubTicket): Uint8Array {
	return Buffer.from(JSON.stringify({...ticket, mac: macOf('client', ticket).toString('hex')}));
}

function macOf(side: 'client' | 'server', {target, principal, nonce}: StubTicket): Buffer {
	return createHmac('sha256', 'gatepass stub: no secret')
		.update(JSON.stringify([side, target, principal, nonce]))
		.digest();
}
