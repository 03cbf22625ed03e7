/** From names to a certificate: order, challenges, request, chain (RFC 8555 section 7.4). */
import type {KeyObject, X509Certificate} from 'node:crypto';
import {AcmeError, GatepassError} from '../../errors.ts';
import {parseCertificates, toPem} from '../../x509/certificates.ts';
import {orderChain} from '../../x509/own-chain.ts';
import type {Account} from './account.ts';
import type {Authenticator, ChallengeTask, CleanUp} from './authenticators/authenticator.ts';
import {type DnsRecord, recordFor} from './authenticators/dns-record.ts';
import {makeCertificateRequest} from './certificate-request.ts';
import type {AcmeConnection} from './connection.ts';
import {type Authorization, type Challenge, type Identifier, nameOf, type Order, Orders} from './order.ts';

/** How a name stands, for those who watch. */
export interface Progress {
	readonly domain: string;
	readonly state: 'pending' | 'challenge' | 'valid' | 'failed' | 'issued';
	readonly detail?: string;
}

export interface ObtainSettings {
	readonly identifiers: readonly Identifier[];
	/** Signs the request; or the request (DER) that somebody else made. */
	readonly key: KeyObject | {readonly request: Uint8Array};
	/** The first one that can answer a challenge does. */
	readonly authenticators: readonly Authenticator[];
	/** The kinds of challenges to use, the first choice first. Default: what the authenticators prefer. */
	readonly preferredChallenges?: readonly string[] | undefined;
	/** The name of an issuer that has to be in the chain; without such a chain, the server's own choice is taken. */
	readonly preferredChain?: string | undefined;
	/** Names that cannot be proven are left out, and the rest is ordered again. */
	readonly allowSubset?: boolean | undefined;
	readonly profile?: string | undefined;
	readonly replaces?: string | undefined;
	/** Where an order is that was begun before; one that is of no use any more is made again. */
	readonly resume?: string | undefined;
	/** Milliseconds since 1970. */
	readonly notAfter?: number | undefined;
	readonly onProgress?: ((progress: Progress) => void) | undefined;
	/** Told of the order as soon as it is there, so that it can be resumed: nothing is lost with this process. */
	readonly onOrder?: ((order: Order) => void | Promise<void>) | undefined;
	readonly signal?: AbortSignal | undefined;
}

/** PEM, each. */
export interface ObtainedCertificate {
	readonly certificate: string;
	/** The CA certificates above it, without the leaf. */
	readonly chain: string;
	readonly fullchain: string;
	/** What it was ordered for: fewer names than asked for only with `allowSubset`. */
	readonly identifiers: readonly Identifier[];
}

/**
 * Obtain a certificate. Whatever happens, the answers to challenges are taken away again.
 *
 * @throws {AcmeError} where the server refuses; {@link GatepassError} where a challenge cannot be answered.
 */
export async function obtainCertificate(
	connection: AcmeConnection,
	account: Account,
	settings: ObtainSettings,
): Promise<ObtainedCertificate> {
	const {identifiers, key, profile, replaces, notAfter, onProgress, onOrder, signal} = settings;
	const orders = new Orders(connection, account, signal);
	for (const {value} of identifiers) onProgress?.({domain: value, state: 'pending'});
	const order =
		(await resumed(orders, settings.resume)) ??
		(await orders.create({identifiers, profile, replaces, notAfter}));
	// Kept as soon as it is there: what is proven for it need not be proven again.
	await onOrder?.(order);
	const failed = order.status === 'pending' ? await prove(orders, order, account, settings) : [];
	if (failed.length > 0) {
		const rest = identifiers.filter(({value}) => !failed.some(({name}) => name === value));
		if (settings.allowSubset !== true || rest.length === 0 || 'request' in key)
			throw combined(connection, failed);
		return obtainCertificate(connection, account, {...settings, identifiers: rest});
	}
	const request = 'request' in key ? key.request : makeCertificateRequest(key, identifiers);
	const issued = await finalize(orders, order, request);
	const {preferredChain} = settings;
	const isWanted = (text: string): boolean =>
		preferredChain === undefined || hasIssuer(readChain(text, connection.place), preferredChain);
	const chain = chooseChain(await orders.chains(issued, isWanted), connection.place, settings);
	for (const {value} of identifiers) onProgress?.({domain: value, state: 'issued'});
	return {...chain, identifiers};
}

async function resumed(orders: Orders, url: string | undefined): Promise<Order | undefined> {
	if (url === undefined) return undefined;
	try {
		const order = await orders.resume(url);
		return ['invalid', 'deactivated'].includes(order.status) ? undefined : order;
	} catch (error) {
		if (error instanceof AcmeError) return undefined;
		throw error;
	}
}

/** One that is issued already was finalized by a process before. */
async function finalize(orders: Orders, order: Order, request: Uint8Array): Promise<Order> {
	return order.status === 'ready' || order.status === 'pending'
		? orders.finalize(order, request)
		: orders.untilIssued(order);
}

interface Failure {
	readonly name: string;
	readonly error: Error;
}

/** Answer a challenge of each authorization, and wait for the server to decide. */
async function prove(
	orders: Orders,
	order: Order,
	account: Account,
	settings: ObtainSettings,
): Promise<Failure[]> {
	const {onProgress, signal} = settings;
	const open = (await orders.authorizations(order)).filter(({status}) => status !== 'valid');
	const allDomains = settings.identifiers.map(({value}) => value);
	const cleanUps: CleanUp[] = [];
	const failures: Failure[] = [];
	const records = new Map<Authorization, DnsRecord>();
	const fail = (authorization: Authorization, reason: Error): void => {
		const error = withRecord(reason, records.get(authorization));
		failures.push({name: nameOf(authorization), error});
		onProgress?.({domain: nameOf(authorization), state: 'failed', detail: error.message});
	};
	try {
		const performed: [Authorization, Challenge][] = [];
		for (const [index, authorization] of open.entries()) {
			const chosen = choose(authorization, settings);
			if (chosen instanceof Error) {
				fail(authorization, chosen);
				continue;
			}
			const [challenge, authenticator] = chosen;
			try {
				const task = {
					...taskFor(authorization, challenge, account),
					allDomains,
					remaining: open.length - index - 1,
					signal,
				};
				// Where it has to be put by hand, this is what.
				if (challenge.type === 'dns-persist-01') records.set(authorization, recordFor(task));
				cleanUps.push(await authenticator.perform(task));
				performed.push([authorization, challenge]);
				onProgress?.({domain: nameOf(authorization), state: 'challenge', detail: challenge.type});
			} catch (error) {
				fail(authorization, error as Error);
			}
		}
		// Several at once: the server looks at them side by side.
		await orders.each(performed, ([, challenge]) => orders.accept(challenge));
		await orders.each(performed, async ([authorization]) => {
			try {
				await orders.untilAuthorized(authorization);
				onProgress?.({domain: nameOf(authorization), state: 'valid'});
			} catch (error) {
				if (signal?.aborted === true) throw error;
				fail(authorization, error as Error);
			}
		});
	} finally {
		// One that fails keeps no other from being taken away.
		await Promise.allSettled(cleanUps.map(cleanUp => cleanUp()));
	}
	return failures;
}

function taskFor(
	{identifier, wildcard}: Authorization,
	{type, token = '', 'issuer-domain-names': issuerDomainNames}: Challenge,
	{key, accountUrl}: Account,
): Omit<ChallengeTask, 'allDomains' | 'remaining'> {
	return {
		domain: identifier.value,
		wildcard: wildcard === true,
		type,
		token,
		accountUrl,
		...(Array.isArray(issuerDomainNames) && {issuerDomainNames: issuerDomainNames.map(String)}),
		keyAuthorization: key.keyAuthorization(token),
	};
}

/** A record that is to stay is put into the zone by a person, who has to know what. */
function withRecord(error: Error, record: DnsRecord | undefined): Error {
	if (record === undefined || !(error instanceof AcmeError)) return error;
	const {type, status, subproblems} = error;
	return new AcmeError(
		{
			code: 'acme-challenge-failed',
			what: error.message.replace(/\.$/, ''),
			hint: `The TXT record ${record.name} has to be: ${record.value}`,
		},
		{
			...(type !== undefined && {type}),
			...(status !== undefined && {status}),
			...(subproblems !== undefined && {subproblems}),
		},
		{cause: error},
	);
}

/** The challenge to answer, and who does. */
function choose(
	authorization: Authorization,
	{authenticators, preferredChallenges}: ObtainSettings,
): [Challenge, Authenticator] | Error {
	const offered = authorization.challenges ?? [];
	const wanted = preferredChallenges ?? [...new Set(authenticators.flatMap(({challenges}) => challenges))];
	for (const type of wanted) {
		const challenge = offered.find(
			one => one.type === type && (one.token !== undefined || type === 'dns-persist-01'),
		);
		const authenticator = authenticators.find(({challenges}) => challenges.includes(type));
		if (challenge !== undefined && authenticator !== undefined) return [challenge, authenticator];
	}
	const names = offered.map(({type}) => type).sort();
	return new GatepassError({
		code: 'no-common-challenge',
		what: `The authority offers ${names.join(', ') || 'no challenge'} for ${nameOf(authorization)}, and only ${wanted.join(', ') || 'nothing'} can be answered here`,
		hint: 'Configure an authenticator for one of them. A name with a star needs dns-01: by dns-update (--dns-rfc2136), or by hand or a hook (--manual)',
	});
}

function combined({place}: AcmeConnection, failures: readonly Failure[]): Error {
	const [first] = failures;
	if (failures.length === 1 && first !== undefined) return first.error;
	const lines = failures.map(({name, error}) => `  ${name}: ${error.message}`);
	return new AcmeError(
		{
			code: 'names-not-proven',
			what: `${place} issues no certificate, since ${failures.length} names are not proven:\n${lines.join('\n')}`,
			hint: '',
		},
		{
			type: 'compound',
			subproblems: failures.map(({name, error}) => ({
				identifier: name,
				type: (error as AcmeError).type ?? 'unauthorized',
				detail: error.message,
			})),
		},
	);
}

/** The chain with the issuer that is wanted, or the server's own choice; its leaf has to be for our key. */
function chooseChain(
	chains: readonly string[],
	place: string,
	{preferredChain, key}: ObtainSettings,
): Omit<ObtainedCertificate, 'identifiers'> {
	const read = chains.map(text => readChain(text, place));
	const preferred =
		preferredChain === undefined ? undefined : read.find(chain => hasIssuer(chain, preferredChain));
	const found = preferred ?? read[0] ?? [];
	// A server may send them in any order: the leaf is the one for our key.
	const leaf = 'request' in key ? leafOf(found) : (found.find(one => one.checkPrivateKey(key)) ?? found[0]);
	if (leaf === undefined)
		throw new AcmeError({
			code: 'acme-answer-unusable',
			what: `${place} handed out an empty certificate`,
			hint: 'Ask whoever runs the authority',
		});
	if (!('request' in key) && !leaf.checkPrivateKey(key)) {
		throw new AcmeError({
			code: 'acme-certificate-for-another-key',
			what: `${place} handed out a certificate for another key`,
			hint: 'It is not used; ask whoever runs the authority',
		});
	}
	const certificate = toPem(leaf);
	const chain = orderChain(found, leaf).slice(1).map(toPem).join('');
	return {certificate, chain, fullchain: certificate + chain};
}

function readChain(text: string, place: string): X509Certificate[] {
	return parseCertificates(Buffer.from(text), `the chain from ${place}`);
}

function hasIssuer(chain: readonly X509Certificate[], name: string): boolean {
	return chain.some(({issuer}) => commonNameIn(issuer) === name);
}

/** The one that has issued none of the others. */
function leafOf(chain: readonly X509Certificate[]): X509Certificate | undefined {
	return chain.find(one => !chain.some(other => other !== one && other.checkIssued(one))) ?? chain[0];
}

/** Node writes a name with a line for each of its parts. */
function commonNameIn(name: string | undefined): string | undefined {
	return /^CN=(.*)$/m.exec(name ?? '')?.[1];
}
