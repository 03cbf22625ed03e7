/**
 * The Negotiate conversation (RFC 4559) over any GSS-API provider.
 *
 * All state belongs to the one request: a context is never shared, and no success of one request spares another
 * one its verification.
 */
import {GatepassError, MutualAuthenticationError} from '../../src/errors.ts';
import type {AuthRequest, AuthResponse, Conversation, RuleInfo} from '../../src/strategy.ts';
import {findChallenge} from './challenge.ts';
import type {GssContext, GssProvider} from './gss-provider.ts';
import type {KerberosOptions} from './options.ts';

/** The headers that tell nothing a stranger could misuse; requests-kerberos leaves the same. */
const harmlessHeaders = ['date', 'server', 'content-length'];

/** Hold the conversation for one request. */
export async function* negotiate(
	request: AuthRequest,
	options: KerberosOptions,
	provider: GssProvider,
	rule: RuleInfo,
): Conversation {
	let context: GssContext | undefined;
	const authorize = async (): Promise<void> => {
		context?.dispose();
		context = await provider.createContext({
			target: `${options.service}@${options.hostname ?? request.url.hostname}`,
			principal: options.principal,
			mutualAuthentication: options.mutualAuthentication !== 'disabled',
			delegate: options.delegate,
		});
		const token = await context.step();
		request.headers.set('authorization', `Negotiate ${Buffer.from(token ?? []).toString('base64')}`);
	};
	try {
		// A body that can be sent only once cannot wait for a challenge.
		if (options.preemptive || !request.replayable) await authorize();
		let response = yield;
		if (isChallenge(response) && context === undefined) {
			await authorize();
			response = yield;
		}
		// A refusal is delivered as it came: there is nothing in it to trust.
		if (response.status === 401) return;
		await verify(response, context, options, rule);
	} finally {
		context?.dispose();
	}
}

function isChallenge({status, headers}: AuthResponse): boolean {
	return status === 401 && findChallenge(headers['www-authenticate'], 'negotiate') !== undefined;
}

/** The table of requests-kerberos: what becomes of a response, by the server's token and the rule's demand. */
async function verify(
	response: AuthResponse,
	context: GssContext | undefined,
	{mutualAuthentication, sanitizeErrorResponse}: KerberosOptions,
	rule: RuleInfo,
): Promise<void> {
	if (mutualAuthentication === 'disabled') return;
	const token = findChallenge(response.headers['www-authenticate'], 'negotiate');
	if (token && context !== undefined) {
		if (await proves(context, token)) return;
		throw new MutualAuthenticationError(
			`The server of ${rule.match} (${rule.source}) answered with a token that does not prove its identity. It may be another machine; do not trust the answer`,
		);
	}
	if (mutualAuthentication === 'optional') return;
	if (response.status < 400) {
		throw new MutualAuthenticationError(
			`The server of ${rule.match} (${rule.source}) did not prove its identity. If it cannot, set 'mutualAuthentication: optional'`,
		);
	}
	if (sanitizeErrorResponse) response.withhold(harmlessHeaders);
}

async function proves(context: GssContext, token: string): Promise<boolean> {
	try {
		await context.step(Buffer.from(token, 'base64'));
		return context.isComplete;
	} catch (error) {
		if (error instanceof GatepassError) return false;
		throw error;
	}
}
