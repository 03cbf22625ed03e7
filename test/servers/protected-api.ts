/** An API as a user of gatepass meets it: it demands a JWT of one issuer for one audience, and verifies it itself. */
import {readFile} from 'node:fs/promises';
import {createServer} from 'node:https';
import {createLocalJWKSet, type JWTPayload, errors as joseErrors, jwtVerify} from 'jose';
import {answerJson, type RecordedRequest, startServer, type TestServer} from '../../src/testing/server.ts';
import type {OidcProvider} from './oidc-provider.ts';

export interface ProtectedApiSettings {
	/** The audience that a token must be for. Default: `reports-api`. */
	readonly audience?: string;
	/** Paths that redirect an authorized request, and where to. */
	readonly redirects?: Readonly<Record<string, string>>;
	/** Whether it speaks https, with a certificate of the provider's authority. Default: `https`. */
	readonly scheme?: 'https' | 'http';
}

/** How a request was judged. */
export interface Judgement {
	readonly path: string;
	readonly status: number;
	/** The client that the token was issued to; absent where it was refused. */
	readonly client?: string;
	readonly audience?: string;
	/** Why the token was refused. */
	readonly problem?: string;
}

export interface ProtectedApi extends TestServer {
	readonly judgements: readonly Judgement[];
	/** Refuse from now on every token that was shown so far, as after a revocation. */
	revokeShown(): void;
}

export async function startProtectedApi(
	provider: OidcProvider,
	{audience = 'reports-api', redirects = {}, scheme = 'https'}: ProtectedApiSettings = {},
): Promise<ProtectedApi> {
	const keys = createLocalJWKSet(provider.jwks);
	const judgements: Judgement[] = [];
	const shown = new Set<string>();
	const revoked = new Set<string>();
	const verify = async ({headers}: RecordedRequest): Promise<JWTPayload> => {
		const token = /^Bearer (\S+)$/.exec(String(headers.authorization))?.[1];
		if (token === undefined) throw new joseErrors.JWTInvalid('no token');
		const {payload} = await jwtVerify(token, keys, {issuer: provider.issuer, audience, typ: 'at+jwt'});
		if (revoked.has(String(payload.jti))) throw new joseErrors.JWTInvalid('the token is revoked');
		shown.add(String(payload.jti));
		return payload;
	};
	const server = await startServer(
		async (request, response) => {
			const path = request.url;
			try {
				const {client_id: client, aud} = await verify(request);
				const location = redirects[path];
				const status = location === undefined ? 200 : 302;
				judgements.push({path, status, client: String(client), audience: String(aud)});
				answerJson(response, status, {path, client, audience: aud}, location === undefined ? {} : {location});
			} catch (error) {
				if (!(error instanceof joseErrors.JOSEError)) throw error;
				judgements.push({path, status: 401, problem: error.message});
				answerJson(
					response,
					401,
					{error: 'invalid_token'},
					{'www-authenticate': 'Bearer error="invalid_token"'},
				);
			}
		},
		scheme === 'https' ? await createTlsServer(provider) : undefined,
		scheme,
	);
	return {
		...server,
		judgements,
		revokeShown() {
			for (const id of shown) revoked.add(id);
		},
	};
}

async function createTlsServer({authority}: OidcProvider): Promise<ReturnType<typeof createServer>> {
	const own = await authority.issue('protected-api', {subject: 'CN=protected-api', hosts: ['127.0.0.1']});
	const [cert, key] = await Promise.all([readFile(own.certificate), readFile(own.key)]);
	return createServer({cert, key});
}
