/** What oidc-agent answers, and what its failures mean to a person. */
import {CredentialUnavailableError, type GatepassError, TokenRequestError} from '../../src/errors.ts';
import type {RuleInfo} from '../../src/strategy/index.ts';
import {bearerToken} from '../bearer/jwt.ts';
import {printable} from '../bearer/printable.ts';
import type {SilenceReason} from './ask-agent.ts';

/** What the agent was asked for, for messages. */
export interface AgentQuestion {
	readonly socket: string;
	/** The short name, or the issuer. */
	readonly account: string;
	readonly isIssuer: boolean;
	readonly timeout: number;
	readonly rule: RuleInfo;
}

export interface AgentToken {
	/** A secret. */
	readonly value: string;
	/** Milliseconds since 1970; absent where the agent does not say. */
	readonly expiresAt?: number;
}

interface AgentAnswer {
	readonly status?: unknown;
	readonly access_token?: unknown;
	readonly expires_at?: unknown;
	readonly error?: unknown;
	readonly info?: unknown;
}

/**
 * The token of an answer.
 *
 * @throws {CredentialUnavailableError} where the agent has no account to get one with.
 * @throws {TokenRequestError} where it could not get one.
 */
export function readAnswer(text: string, question: AgentQuestion): AgentToken {
	const answer = parse(text);
	const {status, access_token: value, expires_at: seconds, error} = answer ?? {};
	if (status === 'success' && typeof value === 'string' && bearerToken.test(value)) {
		const isTold = typeof seconds === 'number' && seconds > 0;
		return {value, ...(isTold && {expiresAt: seconds * 1000})};
	}
	if (typeof error === 'string') throw describeError(error, question);
	const {rule, socket} = question;
	throw new TokenRequestError({
		code: 'token-source-unusable',
		what: `What answers at ${socket} (rule for ${rule.match}, ${rule.source}) answers with something else than a token`,
		hint: 'Check that OIDC_SOCK is the socket of oidc-agent',
	});
}

/** The answer may hold a token, so nothing of it is repeated. */
function parse(text: string): AgentAnswer | undefined {
	try {
		const answer: unknown = JSON.parse(text);
		return typeof answer === 'object' && answer !== null ? answer : undefined;
	} catch {
		return undefined;
	}
}

function describeError(error: string, question: AgentQuestion): GatepassError {
	const {account, isIssuer, rule} = question;
	const name = isIssuer ? 'the issuer' : `'${printable(account)}'`;
	const short = isIssuer ? 'NAME' : printable(account);
	const where = `(rule for ${rule.match}, ${rule.source})`;
	const said = printable(error).replace(/\.$/, '');
	const unavailable = (what: string, hint: string): GatepassError =>
		new CredentialUnavailableError({
			code: 'token-source-unusable',
			what: `oidc-agent ${what} ${where}: ${said}`,
			hint,
		});
	const failed = (what: string, hint: string): GatepassError =>
		new TokenRequestError({
			code: 'token-source-unusable',
			what: `oidc-agent ${what} ${where}: ${said}`,
			hint,
		});
	if (/locked/i.test(error)) return unavailable('is locked', "Unlock it with 'oidc-add --unlock'");
	if (/no account configured/i.test(error))
		return unavailable(`knows no account ${name}`, `Make one with 'oidc-gen ${short}', or name another`);
	if (/not loaded|no account/i.test(error))
		return unavailable(`has no account loaded for ${name}`, `Load it with 'oidc-add ${short}'`);
	if (/denied|declin|forbid|cancel/i.test(error))
		return unavailable(`was not allowed to use ${name}`, 'Allow it where the agent asks');
	if (/invalid_grant|refresh token/i.test(error)) {
		const hint = `Most likely its refresh token has expired or was taken back: run 'oidc-gen ${short} --reauthenticate'`;
		return failed(`got no token for ${name}`, hint);
	}
	if (/invalid_scope/i.test(error)) return failed(`got no token for ${name}`, "Check 'scope'");
	if (/invalid_target|audience/i.test(error)) return failed(`got no token for ${name}`, "Check 'audience'");
	if (/try again later/i.test(error)) return failed('is busy with something else', 'Try again later');
	return failed(`got no token for ${name}`, `Run 'oidc-token ${short}' to see why`);
}

/** The error for an agent that gives no answer. */
export function describeSilence(reason: SilenceReason, question: AgentQuestion): GatepassError {
	const {socket, timeout, rule} = question;
	const place = `oidc-agent at ${socket} (rule for ${rule.match}, ${rule.source})`;
	switch (reason.kind) {
		case 'no agent': {
			const isDenied = reason.code === 'EACCES' || reason.code === 'EPERM';
			return new CredentialUnavailableError(
				isDenied
					? {
							code: 'token-source-unusable',
							what: `The ${place} may not be used by this user (${reason.code})`,
							hint: "Start one of this user's own",
						}
					: {
							code: 'token-source-unusable',
							what: `There is no ${place}: ${reason.code}`,
							hint: "Start it with 'eval $(oidc-agent)', and give OIDC_SOCK to this process",
						},
			);
		}
		case 'too slow':
			return new TokenRequestError({
				code: 'token-source-unusable',
				what: `The ${place} did not answer within ${timeout} ms`,
				hint: "It may wait for a person to log in again or to confirm, or for its provider: run 'oidc-token' to see, or raise 'timeout'",
			});
		case 'too much':
			return new TokenRequestError({
				code: 'token-source-unusable',
				what: `What answers as ${place} goes on without end`,
				hint: 'Check that OIDC_SOCK is the socket of oidc-agent',
			});
		case 'nothing':
			return new TokenRequestError({
				code: 'token-source-unusable',
				what: `The ${place} ended the connection without an answer`,
				hint: 'See whether it still runs, and start it again if not',
			});
	}
}
