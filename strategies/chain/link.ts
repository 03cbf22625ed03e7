/** One strategy of a chain, and how it fared when it was asked last. */
import {CredentialUnavailableError} from '../../src/errors.ts';
import type {AuthStrategy} from '../../src/strategy/index.ts';

/** How a link fared. */
export type LinkState =
	| {readonly kind: 'not tried'}
	| {readonly kind: 'serves'}
	/** One before it had a credential. */
	| {readonly kind: 'not needed'; readonly server: string}
	/** It has no credential, which is nobody's fault: no file, no program, no agent. */
	| {readonly kind: 'not available'; readonly reason: string}
	/** There is a credential, or somebody to give one, and it went wrong. */
	| {readonly kind: 'failed'; readonly reason: string; readonly stopped: boolean};

export interface Link {
	readonly name: string;
	readonly strategy: AuthStrategy;
	state: LinkState;
}

/** How an error of a link is to be told. `goesOn`: whether the chain does so at a failure. */
export function stateAfter(error: unknown, goesOn: boolean): LinkState {
	const reason = error instanceof Error ? error.message : String(error);
	return error instanceof CredentialUnavailableError
		? {kind: 'not available', reason}
		: {kind: 'failed', reason, stopped: !goesOn};
}

/** The rest of a sentence that begins with the link. */
export function describeState(state: LinkState): string {
	switch (state.kind) {
		case 'not tried':
			return 'not tried yet';
		case 'serves':
			return 'serves';
		case 'not needed':
			return `not needed: ${state.server} serves`;
		case 'not available':
			return `passed over, as it is not available: ${state.reason}`;
		case 'failed':
			return state.stopped
				? `failed, and the chain stopped there: ${state.reason}`
				: `passed over, as it failed: ${state.reason}`;
	}
}
