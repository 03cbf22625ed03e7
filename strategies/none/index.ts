/** `none`: requests go as they are. For a host that a wider rule would cover. */
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialStatus,
} from '../../src/strategy/index.ts';

/** Adds nothing. The only strategy that carries no credential, so it needs no leave for plain http. */
@authStrategy({name: 'none', carriesCredential: false})
export class NoneStrategy implements AuthStrategy {
	async *authenticate(_request: AuthRequest): Conversation {
		yield;
	}

	async status(): Promise<CredentialStatus> {
		return {available: true, detail: 'requests go without a credential'};
	}
}
