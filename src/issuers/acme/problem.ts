/** Problem documents of ACME servers (RFC 8555 section 6.7, RFC 9457) as errors that say what to do. */
import {isIPv6} from 'node:net';
import type {DiagnosticCode} from '../../diagnostics/codes.ts';
import {AcmeError, type AcmeSubproblem} from '../../errors.ts';
import {readRetryAfter} from '../../strategy/retry-after.ts';

const prefix = 'urn:ietf:params:acme:error:';

/** Milliseconds; a server that names a longer wait is asked again after it. */
const longestWait = 86_400_000;

const hints: Readonly<Record<string, string>> = {
	accountDoesNotExist: 'Register an account first',
	alreadyRevoked: 'Nothing is left to do',
	badCSR:
		'Check that the request names what the order does, and that its key is of a kind that the authority takes',
	badPublicKey: 'Use a key of another type: the authority does not take this one',
	badRevocationReason: 'Give another reason, or none',
	caa: 'Allow the authority in the CAA records of the name',
	compound: 'Put right what is said of each name',
	connection: 'See that the authority can reach the server under this name, on the port of the challenge',
	dns: 'See that the name resolves for the authority, and not only within your network',
	externalAccountRequired:
		'Ask the authority for a key identifier and a key, and name them (--eab-kid and --eab-hmac-key)',
	incorrectResponse:
		'See that the answer to the challenge is what the authority is shown; a balancer may lead elsewhere',
	invalidContact: 'Give another address for mail',
	invalidProfile: 'Name one of the profiles that the directory offers',
	orderNotReady: 'Complete the challenges of the order first',
	rateLimited: 'Ask again once the wait is over, and keep what was issued: each order counts',
	rejectedIdentifier: 'The authority issues nothing for this name. Ask it why, or use another authority',
	tls: 'See that the server answers with the certificate of the challenge',
	unauthorized:
		'See that this account may have certificates for the name, and that the challenge is answered',
	unsupportedContact: 'Give a mail address',
	unsupportedIdentifier:
		'The authority issues nothing for names of this kind. Use another profile, or another authority',
	userActionRequired: 'Follow what the authority says, mostly to agree to new terms of service',
};

/** What a problem document holds; anything else in it is passed over. */
export interface Problem {
	readonly type: string;
	readonly detail: string;
	readonly subproblems: readonly AcmeSubproblem[];
}

export function readProblem(value: unknown): Problem {
	const {type, detail, subproblems} = record(value);
	return {
		type: shorten(type, 100).replace(prefix, '') || 'about:blank',
		detail: shorten(detail, 1000),
		subproblems: (Array.isArray(subproblems) ? subproblems.slice(0, 100) : []).map(one => {
			const {type: kind, detail: words, identifier} = record(one);
			const name = shorten(record(identifier).value, 300);
			return {
				...(name !== '' && {identifier: name}),
				type: shorten(kind, 100).replace(prefix, ''),
				detail: shorten(words, 1000),
			};
		}),
	};
}

/** What a refusal is about (RFC 8555 section 6.7), where it is more than one. */
const codes: Readonly<Record<string, DiagnosticCode>> = {
	rateLimited: 'acme-rate-limited',
	badPublicKey: 'acme-key-refused',
	rejectedIdentifier: 'acme-name-refused',
	unsupportedIdentifier: 'acme-name-refused',
	caa: 'acme-name-refused',
	dns: 'acme-challenge-failed',
	connection: 'acme-challenge-failed',
	tls: 'acme-challenge-failed',
	unauthorized: 'acme-challenge-failed',
	incorrectResponse: 'acme-challenge-failed',
	accountDoesNotExist: 'acme-account-missing',
	externalAccountRequired: 'account-binding-required',
	userActionRequired: 'terms-not-agreed',
	invalidProfile: 'acme-profile-unknown',
};

/** The IPv6 address that a challenge was looked for at: as a URL has it, or as Let's Encrypt begins its words. */
function addressIn(detail: string): string | undefined {
	const found = /\[([\da-f:.]*:[\da-f:.]*)\]|^([\da-f]*:[\da-f:]*:[\da-f]*): /i.exec(detail);
	const address = found?.[1] ?? found?.[2];
	return address !== undefined && isIPv6(address) ? address : undefined;
}

/** The error for a refusal. `what`: half a sentence, such as `refused the order`. */
export function refusal(
	place: string,
	what: string,
	problem: Problem,
	{status, retryAfter}: {status?: number; retryAfter?: number | undefined} = {},
): AcmeError {
	const {type, detail, subproblems} = problem;
	const each = subproblems.map(({identifier, type: kind, detail: words}) =>
		[identifier, kind, words].filter(Boolean).join(': '),
	);
	const words = [detail.replace(/\.$/, ''), ...each].filter(Boolean).join('; ');
	const until =
		retryAfter === undefined ? '' : ` Ask again after ${new Date(Date.now() + retryAfter).toISOString()}.`;
	const isChallenge = codes[type] === 'acme-challenge-failed';
	const address = isChallenge ? addressIn(detail) : undefined;
	const advice =
		address !== undefined
			? `The authority went to the IPv6 address ${address} of the name, first of all addresses that there are. Have the server answer there as well, or take the address out of the DNS entry of the name (AAAA)`
			: (hints[type] ?? hints[subproblems[0]?.type ?? ''] ?? 'Ask whoever runs the authority');
	return new AcmeError(
		{
			code:
				address !== undefined
					? 'acme-challenge-at-ipv6'
					: (codes[type] ?? codes[subproblems[0]?.type ?? ''] ?? 'acme-request-failed'),
			what: `${place} ${what} (${type}): ${words || 'it does not say why'}`,
			hint: until === '' ? advice : `${advice}.${until}`,
		},
		{
			type,
			...(status !== undefined && {status}),
			...(retryAfter !== undefined && {retryAfter}),
			...(subproblems.length > 0 && {subproblems}),
		},
	);
}

/** Milliseconds from a `Retry-After`, a day at most. */
export function waitAskedFor(headers: Pick<Headers, 'get'>): number | undefined {
	const wait = readRetryAfter(headers);
	return wait === undefined ? undefined : Math.min(wait, longestWait);
}

function record(value: unknown): Readonly<Record<string, unknown>> {
	return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** A terminal would obey control characters. */
function shorten(value: unknown, length: number): string {
	return typeof value === 'string' ? value.slice(0, length).replace(/\p{Cc}+/gu, ' ') : '';
}
