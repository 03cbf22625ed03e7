/** What a response proves of its sender, by the token in its challenge (RFC 4559 section 5). */
import {GatepassError} from '../../src/errors.ts';
import type {AuthResponse} from '../../src/strategy/index.ts';
import {findChallenge} from './challenge.ts';
import type {GssContext} from './gss-provider.ts';
import {accepts} from './server-token.ts';

/** `none`: it says nothing of the kind. */
export type Proof = 'valid' | 'wrong' | 'none';

/** RFC 9110 sections 11.6 and 11.7: who asks, and in which headers. */
export interface ChallengeKind {
	readonly status: number;
	readonly challenge: string;
	readonly answer: string;
}
export const ofServer: ChallengeKind = {
	status: 401,
	challenge: 'www-authenticate',
	answer: 'authorization',
};
export const ofProxy: ChallengeKind = {
	status: 407,
	challenge: 'proxy-authenticate',
	answer: 'proxy-authorization',
};

/** Whether a response asks for a token. */
export function isChallenge({status, headers}: AuthResponse, kind: ChallengeKind): boolean {
	return status === kind.status && findChallenge(headers[kind.challenge], 'negotiate') !== undefined;
}

/** The token in a response's challenge, where there is one. */
export function tokenIn({headers}: AuthResponse, {challenge}: ChallengeKind): Uint8Array | undefined {
	const token = findChallenge(headers[challenge], 'negotiate');
	return token && isBase64(token) ? Buffer.from(token, 'base64') : undefined;
}

/** What a response proves to the context that its request carried a token of. */
export async function proofIn(
	response: AuthResponse,
	kind: ChallengeKind,
	context: GssContext | undefined,
): Promise<Proof> {
	const challenge = findChallenge(response.headers[kind.challenge], 'negotiate');
	if (!challenge || context === undefined) return 'none';
	const token = tokenIn(response, kind);
	// "Accepted", and nothing of Kerberos in it (RFC 4178 section 4.2.2): no proof, but no wrong one either.
	if (token !== undefined && accepts(token)) return 'none';
	// Without mutual authentication the context is complete before, and proves nothing.
	if (token === undefined || context.isComplete) return 'wrong';
	try {
		await context.step(token);
		return context.isComplete ? 'valid' : 'wrong';
	} catch (error) {
		if (error instanceof GatepassError) return 'wrong';
		throw error;
	}
}

/** RFC 4648 section 4. `Buffer.from` takes anything. */
function isBase64(token: string): boolean {
	return token.length % 4 === 0 && /^[\d+/A-Za-z]+={0,2}$/.test(token);
}
