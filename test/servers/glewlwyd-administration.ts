/** Sets up a glewlwyd through the API that its own administration pages use. */
import type {KeyObject} from 'node:crypto';
import {request} from 'node:https';
import type {JWK} from 'jose';

interface Answer {
	readonly status: number;
	readonly cookie: string | undefined;
	readonly body: string;
}

/** What an authorization server of glewlwyd's is to be like. */
export interface AuthorizationServerSettings {
	readonly issuer: string;
	readonly signing: {readonly publicKey: KeyObject; readonly privateKey: KeyObject};
	readonly demandsNonce: boolean;
	readonly resources: readonly string[];
}

interface ClientWithSecret {
	readonly clientId: string;
	readonly clientSecret: string;
}

export interface ClientsByMethod {
	readonly basic: ClientWithSecret;
	readonly post: ClientWithSecret;
	readonly secretJwt: ClientWithSecret;
	readonly privateKeyJwt: {readonly clientId: string};
	readonly mtls: {readonly clientId: string};
}

export class GlewlwydAdministration {
	readonly #url: string;
	readonly #ca: string;
	#cookie: string | undefined;

	constructor(url: string, ca: string) {
		this.#url = url;
		this.#ca = ca;
	}

	/** Whether the server is there. */
	async answers(): Promise<boolean> {
		return this.#send('GET', '/config').then(
			({status}) => status === 200,
			() => false,
		);
	}

	/** As the administrator that a new database holds. */
	async logIn(): Promise<void> {
		const {cookie} = await this.#post('/api/auth/', {username: 'admin', password: 'password'});
		this.#cookie = cookie?.split(';')[0];
	}

	async addAuthorizationServer(settings: AuthorizationServerSettings): Promise<void> {
		const {issuer, signing, demandsNonce, resources} = settings;
		await this.#post('/api/mod/plugin/', {
			module: 'oidc',
			name: 'oidc',
			display_name: 'oidc',
			parameters: {
				iss: issuer,
				'jwt-type': 'ecdsa',
				'jwt-key-size': '256',
				key: signing.privateKey.export({type: 'pkcs8', format: 'pem'}),
				cert: signing.publicKey.export({type: 'spki', format: 'pem'}),
				'access-token-duration': 300,
				'refresh-token-duration': 600,
				'code-duration': 60,
				'allow-non-oidc': true,
				'auth-type-client-enabled': true,
				'introspection-revocation-allowed': true,
				'introspection-revocation-allow-target-client': true,
				'resource-allowed': true,
				'resource-scope': {read: resources},
				'request-parameter-allow': true,
				'request-maximum-exp': 3600,
				'client-jwks-parameter': 'jwks',
				'subject-type': 'public',
				'address-claim': {type: 'no'},
				'oauth-dpop-allowed': true,
				'oauth-dpop-iat-duration': 60,
				'oauth-dpop-nonce-mandatory': demandsNonce,
				// How often one nonce may be used.
				'oauth-dpop-nonce-counter': 3,
				'client-cert-source': 'TLS',
				'client-cert-use-endpoint-aliases': true,
			},
		});
		await this.#post('/api/scope/', {name: 'read', display_name: 'read', scheme: {}, scheme_required: {}});
	}

	async addClients(clients: ClientsByMethod, keys: readonly JWK[]): Promise<void> {
		const {basic, post, secretJwt, privateKeyJwt, mtls} = clients;
		const secret = {basic: 'client_secret_basic', post: 'client_secret_post', secretJwt: 'client_secret_jwt'};
		await this.#addClient(basic, secret.basic, {});
		await this.#addClient(post, secret.post, {});
		await this.#addClient(secretJwt, secret.secretJwt, {});
		await this.#addClient(privateKeyJwt, 'private_key_jwt', {jwks: {keys}});
		await this.#addClient(mtls, 'tls_client_auth', {tls_client_auth_san_dns: 'mtls-client.example.org'});
	}

	/** What it calls the key that it signs with. */
	async keyId(): Promise<string> {
		const {body} = await this.#send('GET', '/api/oidc/jwks');
		return JSON.parse(body).keys[0].kid;
	}

	/** Ask for a token's state as its client may (RFC 7662). */
	async isActive(token: string, {clientId, clientSecret}: ClientWithSecret): Promise<boolean> {
		const credentials = Buffer.from(`${clientId}:${clientSecret}`).toString('base64');
		const {status, body} = await this.#send(
			'POST',
			'/api/oidc/introspect',
			{authorization: `Basic ${credentials}`, 'content-type': 'application/x-www-form-urlencoded'},
			new URLSearchParams({token, token_type_hint: 'access_token'}).toString(),
		);
		if (status !== 200) throw new Error(`glewlwyd answered ${status}: ${body}`);
		return JSON.parse(body).active;
	}

	async #addClient(
		{clientId, clientSecret}: {clientId: string; clientSecret?: string},
		method: string,
		more: Readonly<Record<string, unknown>>,
	): Promise<void> {
		await this.#post('/api/client/?source=database', {
			client_id: clientId,
			name: clientId,
			...(clientSecret !== undefined && {client_secret: clientSecret}),
			confidential: true,
			enabled: true,
			scope: ['read'],
			authorization_type: ['client_credentials'],
			redirect_uri: ['https://localhost/'],
			token_endpoint_auth_method: [method],
			...more,
		});
	}

	async #post(path: string, body: unknown): Promise<Answer> {
		const headers = {
			'content-type': 'application/json',
			...(this.#cookie !== undefined && {cookie: this.#cookie}),
		};
		const answer = await this.#send('POST', path, headers, JSON.stringify(body));
		if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}: ${answer.body}`);
		return answer;
	}

	#send(
		method: string,
		path: string,
		headers: Readonly<Record<string, string>> = {},
		body?: string,
	): Promise<Answer> {
		return new Promise((resolve, reject) => {
			request(this.#url + path, {method, headers, ca: this.#ca, agent: false}, async response => {
				const chunks: Buffer[] = [];
				for await (const chunk of response) chunks.push(chunk);
				const cookie = response.headers['set-cookie']?.[0];
				resolve({status: response.statusCode ?? 0, cookie, body: Buffer.concat(chunks).toString()});
			})
				.on('error', reject)
				.end(body);
		});
	}
}
