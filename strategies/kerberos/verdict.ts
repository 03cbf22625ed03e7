/** What becomes of the last response, by its status, the server's proof and the rule's demand. */
import {KerberosExchangeError, MutualAuthenticationError} from '../../src/errors.ts';
import type {AuthRequest, AuthResponse, RuleInfo} from '../../src/strategy/index.ts';
import type {GssContext} from './gss-provider.ts';
import type {KerberosOptions} from './options.ts';
import {type ChallengeKind, type Proof, tokenIn} from './proof.ts';

/** The headers that tell nothing a stranger could misuse; requests-kerberos leaves the same. */
const harmlessHeaders = ['date', 'server', 'content-length'];

/** Servers take some 8,000 characters of a header (Apache, nginx) or 16,000 (IIS, Node); nobody takes fewer than this. */
const longHeader = 4000;

/** The last response, and what is known of it. */
export interface Outcome {
	readonly request: AuthRequest;
	readonly response: AuthResponse;
	readonly kind: ChallengeKind;
	readonly proof: Proof;
	/** Of the token that the request carried, if it carried one. */
	readonly context: GssContext | undefined;
	readonly options: KerberosOptions;
}

/**
 * A 401 or 407 after all attempts is delivered, since a client has to see that it was refused. Whoever sent it may be
 * anybody: where the server has to prove itself, nothing of it is believed but the status and what it asks for.
 */
export function refuse({request, response, kind, proof, context, options}: Outcome): void {
	if (proof === 'valid') return;
	const token = tokenIn(response, kind);
	if (token !== undefined) request.refusal = context?.refusal?.(token);
	const {mutualAuthentication, sanitizeErrorResponse} = options;
	if (mutualAuthentication === 'required' && sanitizeErrorResponse) {
		response.withhold([...harmlessHeaders, kind.challenge]);
	}
}

/** Any other response: the table of requests-kerberos. Throws where it is not to be believed. */
export function accept(outcome: Outcome & {readonly rule: RuleInfo}): void {
	const {request, response, kind, proof, context, options, rule} = outcome;
	const {mutualAuthentication, sanitizeErrorResponse} = options;
	const refusal =
		context === undefined || proof === 'valid'
			? undefined
			: tooLong(response.status, request.headers.get(kind.answer), rule);
	if (refusal !== undefined) request.refusal = refusal;
	if (mutualAuthentication === 'disabled' || proof === 'valid') return;
	if (proof === 'wrong') {
		throw new MutualAuthenticationError({
			code: 'server-proof-wrong',
			what: `The server of ${rule.match} (${rule.source}) answered with a token that does not prove its identity`,
			hint: 'It may be another machine; do not trust the answer',
		});
	}
	if (mutualAuthentication === 'optional') return;
	if (response.status < 400) {
		throw new MutualAuthenticationError({
			code: 'server-not-proven',
			what: `The server of ${rule.match} (${rule.source}) did not prove its identity`,
			hint: adviceFor(outcome),
		});
	}
	// Whoever has not read the ticket cannot prove anything, and says in the body what it takes; as with a 401.
	if (refusal !== undefined) return;
	if (sanitizeErrorResponse) response.withhold(harmlessHeaders);
}

function adviceFor({request, context}: Outcome): string {
	const lastResort = "If it cannot, set 'mutualAuthentication: optional'";
	if (context === undefined) {
		return `It answered without a challenge. If it remembers connections or sessions, set 'preemptive: true', so that each request brings a token and each answer the proof. ${lastResort}`;
	}
	return request.headers.has('cookie')
		? `It may have taken a session cookie in place of the ticket: leave the cookie jar out. ${lastResort}`
		: lastResort;
}

/** A server that does not take a header of that length says so before it looks at the ticket. */
function tooLong(
	status: number,
	header: string | undefined,
	rule: RuleInfo,
): KerberosExchangeError | undefined {
	const length = header?.length ?? 0;
	if (status !== 431 && !(status === 400 && length >= longHeader)) return undefined;
	return new KerberosExchangeError({
		code: 'kerberos-ticket-too-long',
		what: `The server of ${rule.match} (${rule.source}) answered ${status} to a header of ${length} characters with the ticket, which is probably longer than it takes`,
		hint: 'Have its limit raised (Apache: LimitRequestFieldSize, nginx: large_client_header_buffers, IIS: MaxFieldLength), or have the principal put into fewer groups',
	});
}
