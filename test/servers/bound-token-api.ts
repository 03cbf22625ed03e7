/**
 * An API that takes tokens bound to a key or to a certificate, and verifies with jose alone that whoever shows one may:
 * the proof of RFC 9449 section 4.3, or the client certificate of RFC 8705 section 3.
 */
import {createHash, randomBytes} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import type {IncomingMessage, ServerResponse} from 'node:http';
import {createServer} from 'node:https';
import type {TLSSocket} from 'node:tls';
import {
	calculateJwkThumbprint,
	createLocalJWKSet,
	EmbeddedJWK,
	type JWK,
	type JWTPayload,
	jwtVerify,
} from 'jose';
import type {TestAuthority} from '../../src/testing/authority.ts';
import {answerJson, type RecordedRequest, startServer, type TestServer} from '../../src/testing/server.ts';

export interface BoundTokenApiSettings {
	/** Whose tokens it takes. */
	readonly issuer: string;
	readonly jwks: {readonly keys: JWK[]};
	/** Vouches for the API and for its users. */
	readonly authority: Pick<TestAuthority, 'ca' | 'issue'>;
	/** What a token must be bound to; `nothing`: it is shown as a bearer token by whoever has it. */
	readonly boundTo: 'key' | 'certificate' | 'nothing';
	/** Whether proofs must have a nonce of its own. */
	readonly demandsNonce?: boolean;
	/** Paths that redirect an authorized request, and where to. */
	readonly redirects?: Readonly<Record<string, string>>;
	/** Milliseconds that its clock, and the issuer's, is ahead of this machine's. */
	readonly skew?: number;
}

/** How a request was judged. */
export interface BoundTokenJudgement {
	readonly method: string;
	readonly path: string;
	readonly status: number;
	/** Why it was refused. */
	readonly problem?: string;
	/** The claims of the proof, where there was one that could be read. */
	readonly proof?: JWTPayload;
	/** The claims of the token, where it was verified. */
	readonly token?: JWTPayload;
}

export interface BoundTokenApi extends TestServer {
	readonly judgements: readonly BoundTokenJudgement[];
	/** Take no more proofs with the nonces given out so far. */
	changeNonce(): void;
	/** Refuse from now on every token that was shown so far, as after a revocation. */
	revokeShown(): void;
}

/** An answer of 401: what is wrong, and the challenge. */
class Refusal extends Error {
	readonly challenge: string;

	constructor(problem: string, challenge: string) {
		super(problem);
		this.challenge = challenge;
	}
}

/** Seconds that a proof's time may be off. */
const longestProofAge = 60;

export async function startBoundTokenApi(settings: BoundTokenApiSettings): Promise<BoundTokenApi> {
	const {authority, redirects = {}, boundTo} = settings;
	const keys = createLocalJWKSet(settings.jwks);
	const judgements: BoundTokenJudgement[] = [];
	const used = new Set<string>();
	const shown = new Set<string>();
	const revoked = new Set<string>();
	let nonce = randomBytes(8).toString('base64url');
	// Not by `Date`, which a test may have shifted for its client.
	const now = (): Date => new Date(performance.timeOrigin + performance.now() + (settings.skew ?? 0));

	const verifyToken = async (token: string): Promise<JWTPayload> => {
		const {payload} = await jwtVerify(token, keys, {issuer: settings.issuer, currentDate: now()}).catch(
			(error: Error) => {
				throw new Refusal(error.message, `${boundTo === 'key' ? 'DPoP' : 'Bearer'} error="invalid_token"`);
			},
		);
		if (revoked.has(token)) throw new Refusal('the token is revoked', 'Bearer error="invalid_token"');
		shown.add(token);
		return payload;
	};

	const readProof = async (proof: string): Promise<{payload: JWTPayload; jwk: JWK}> => {
		const {payload, protectedHeader} = await jwtVerify(proof, EmbeddedJWK, {
			typ: 'dpop+jwt',
			algorithms: ['ES256'],
			currentDate: now(),
		});
		return {payload, jwk: protectedHeader.jwk as JWK};
	};

	const checkProof = async (
		{method, url}: RecordedRequest,
		token: string,
		jkt: unknown,
		{payload, jwk}: {payload: JWTPayload; jwk: JWK},
	): Promise<void> => {
		const expect = (isRight: boolean, problem: string): void => {
			if (!isRight) throw new Refusal(problem, 'DPoP error="invalid_dpop_proof"');
		};
		expect(payload.htm === method, 'htm is of another method');
		expect(payload.htu === server.url + url.split('?')[0], 'htu is of another URL');
		const ath = createHash('sha256').update(token).digest('base64url');
		expect(payload.ath === ath, 'ath is of another token');
		expect((await calculateJwkThumbprint(jwk)) === jkt, 'the key is not that of the token');
		const age = Math.abs(now().getTime() / 1000 - Number(payload.iat));
		expect(age <= longestProofAge, `iat is ${Math.round(age)} seconds off`);
		expect(typeof payload.jti === 'string' && !used.has(payload.jti), 'the proof was used before');
		used.add(String(payload.jti));
		if (settings.demandsNonce && payload.nonce !== nonce) {
			throw new Refusal('the proof lacks the nonce', 'DPoP error="use_dpop_nonce"');
		}
	};

	const judge = async (request: RecordedRequest, incoming: IncomingMessage): Promise<BoundTokenJudgement> => {
		const {method, url: path, headers} = request;
		let proof: JWTPayload | undefined;
		try {
			const scheme = boundTo === 'key' ? 'DPoP' : 'Bearer';
			const [, token] = new RegExp(`^${scheme} (\\S+)$`).exec(String(headers.authorization)) ?? [];
			if (token === undefined) throw new Refusal(`no token behind ${scheme}`, scheme);
			const claims = await verifyToken(token);
			const bound = claims.cnf as {jkt?: string; 'x5t#S256'?: string} | undefined;
			if (boundTo === 'key') {
				const read = await readProof(String(headers.dpop)).catch((error: Error) => {
					throw new Refusal(error.message, 'DPoP error="invalid_dpop_proof"');
				});
				proof = read.payload;
				await checkProof(request, token, bound?.jkt, read);
			}
			if (boundTo === 'certificate' && bound?.['x5t#S256'] !== thumbprintOf(incoming)) {
				throw new Refusal('the certificate is not that of the token', 'Bearer error="invalid_token"');
			}
			const status = redirects[path] === undefined ? 200 : 307;
			return {method, path, status, token: claims, ...(proof !== undefined && {proof})};
		} catch (error) {
			if (!(error instanceof Refusal)) throw error;
			challenges.set(request, error.challenge);
			return {method, path, status: 401, problem: error.message, ...(proof !== undefined && {proof})};
		}
	};
	const challenges = new WeakMap<RecordedRequest, string>();

	const answer = async (
		request: RecordedRequest,
		response: ServerResponse,
		incoming: IncomingMessage,
	): Promise<void> => {
		const judgement = await judge(request, incoming);
		judgements.push(judgement);
		const location = redirects[judgement.path];
		const challenge = challenges.get(request);
		answerJson(response, judgement.status, judgement, {
			...(settings.demandsNonce && {'dpop-nonce': nonce}),
			...(judgement.status === 307 && location !== undefined && {location}),
			...(challenge !== undefined && {'www-authenticate': challenge}),
		});
	};

	const server = await startServer(answer, await createTlsServer(authority), 'https');
	return {
		...server,
		judgements,
		changeNonce() {
			nonce = randomBytes(8).toString('base64url');
		},
		revokeShown() {
			for (const token of shown) revoked.add(token);
		},
	};
}

/** SHA-256 of the client's certificate in DER, as RFC 8705 section 3.1 writes it. */
function thumbprintOf({socket}: IncomingMessage): string | undefined {
	const certificate = (socket as TLSSocket).getPeerX509Certificate();
	return certificate && createHash('sha256').update(certificate.raw).digest('base64url');
}

/** A client certificate is asked for and not demanded. */
async function createTlsServer(
	authority: Pick<TestAuthority, 'ca' | 'issue'>,
): Promise<ReturnType<typeof createServer>> {
	const own = await authority.issue('bound-token-api', {subject: 'CN=bound-token-api', hosts: ['127.0.0.1']});
	const [cert, key, ca] = await Promise.all(
		[own.certificate, own.key, authority.ca].map(file => readFile(file)),
	);
	return createServer({cert, key, ca, requestCert: true, rejectUnauthorized: false});
}
