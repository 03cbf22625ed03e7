/** `gatepass/cern`: what users of Python's cernrequests find again, against real servers. */
import {chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:https';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {TLSSocket} from 'node:tls';
import {HTTPError, TimeoutError} from 'got';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi} from 'vitest';
import {findBundle} from '../../src/bundles/bundle.ts';
import {readPreset} from '../../src/bundles/preset.ts';
import {
	close,
	defaultUserCertificatePaths,
	get,
	getApiToken,
	getTokenEndpoint,
	getWithToken,
	trustBundlePath,
} from '../../src/cern/index.ts';
import {
	CredentialUnavailableError,
	GatepassError,
	InsecureTransportError,
	TokenRequestError,
} from '../../src/index.ts';
import {createTestAuthority, startTokenServer, type TestAuthority} from '../../src/testing/index.ts';
import {startServer} from '../../src/testing/server.ts';
import {type ApacheWithUsers, apache, startApacheMtls} from '../servers/apache.ts';
import {describeWith} from '../servers/availability.ts';
import {commonNameOf} from '../servers/common-name.ts';
import {clients, type OidcProvider, startOidcProvider} from '../servers/oidc-provider.ts';
import {type ProtectedApi, startProtectedApi} from '../servers/protected-api.ts';

/** Home, and the working directory. */
let home: string;

beforeEach(() => {
	home = mkdtempSync(join(tmpdir(), 'gatepass-cern-'));
	vi.spyOn(process, 'cwd').mockReturnValue(home);
	vi.stubEnv('HOME', home);
	const others = ['X509_USER_PROXY', 'X509_USER_CERT', 'X509_USER_KEY', 'SSO_CLIENT_ID', 'SSO_CLIENT_SECRET'];
	for (const name of ['CERN_CERTIFICATE_PATH', ...others]) vi.stubEnv(name, undefined);
});
afterEach(async () => {
	await close();
	vi.restoreAllMocks();
	vi.unstubAllEnvs();
	rmSync(home, {recursive: true, force: true});
});

/** Put a certificate and its key where they are looked for. */
function install(folder: string, files: {certificate: string; key: string}): string {
	const place = join(home, folder);
	mkdirSync(place, {recursive: true});
	copyFileSync(files.certificate, join(place, 'usercert.pem'));
	copyFileSync(files.key, join(place, 'userkey.pem'));
	chmodSync(join(place, 'userkey.pem'), 0o600);
	return place;
}

function useClient({clientId, clientSecret}: {clientId: string; clientSecret: string}): void {
	vi.stubEnv('SSO_CLIENT_ID', clientId);
	vi.stubEnv('SSO_CLIENT_SECRET', clientSecret);
}

describe('where things are', () => {
	test('the token endpoint of a server and a realm; the preset of the bundle says the same', () => {
		expect(getTokenEndpoint()).toBe('https://auth.cern.ch/auth/realms/cern/api-access/token');
		expect(getTokenEndpoint({server: 'login.example.org', realm: 'a/b'})).toBe(
			'https://login.example.org/auth/realms/a%2Fb/api-access/token',
		);
		const bundle = findBundle('cern');
		expect(bundle && readPreset(bundle).endpoints.tokenEndpoint).toBe(getTokenEndpoint());
	});

	test('the PEM file of a bundle', () => {
		for (const name of [undefined, 'cern', 'igtf']) {
			const path = trustBundlePath(name);
			expect(path).toMatch(/^\/.*\.pem$/);
			expect(readFileSync(path, 'utf8')).toContain('-----BEGIN CERTIFICATE-----');
		}
		expect(readFileSync(trustBundlePath(), 'utf8')).toContain('CERN Root Certification Authority 2');
		expect(() => trustBundlePath('nowhere')).toThrow(GatepassError);
		expect(() => trustBundlePath('nowhere')).toThrow(/cern, igtf/);
	});

	test('the certificate: the variable, ~/private, ~/.globus', () => {
		expect(defaultUserCertificatePaths).toThrow(CredentialUnavailableError);
		const make = (folder: string): {certificate: string; key: string} => {
			const files = {
				certificate: join(home, folder, 'usercert.pem'),
				key: join(home, folder, 'userkey.pem'),
			};
			mkdirSync(join(home, folder));
			for (const file of Object.values(files)) writeFileSync(file, '');
			return files;
		};
		const globus = make('.globus');
		expect(defaultUserCertificatePaths()).toEqual(globus);
		const own = make('private');
		expect(defaultUserCertificatePaths()).toEqual(own);
		rmSync(own.key);
		expect(defaultUserCertificatePaths()).toEqual(globus);
		const named = make('named');
		vi.stubEnv('CERN_CERTIFICATE_PATH', join(home, 'named'));
		expect(defaultUserCertificatePaths()).toEqual(named);
		vi.stubEnv('CERN_CERTIFICATE_PATH', './named');
		expect(defaultUserCertificatePaths()).toEqual(named);
		// A place that is named is meant.
		rmSync(named.certificate);
		expect(defaultUserCertificatePaths).toThrow(/CERN_CERTIFICATE_PATH names .*named/);
	});

	test('a .env in the working directory counts, and overrides nothing', () => {
		const folders = ['a', 'b'].map(name => join(home, name));
		for (const folder of folders) {
			mkdirSync(folder);
			for (const file of ['usercert.pem', 'userkey.pem']) writeFileSync(join(folder, file), '');
		}
		writeFileSync(join(home, '.env'), `CERN_CERTIFICATE_PATH=${folders[0]}\n`);
		expect(defaultUserCertificatePaths().key).toBe(join(home, 'a/userkey.pem'));
		vi.stubEnv('CERN_CERTIFICATE_PATH', folders[1]);
		expect(defaultUserCertificatePaths().key).toBe(join(home, 'b/userkey.pem'));
	});
});

describeWith(apache, 'get, against Apache with SSLVerifyClient require', () => {
	let server: ApacheWithUsers;
	let url: string;
	beforeAll(async () => {
		server = await startApacheMtls();
		url = `${server.urls['TLSv1.3']}/page`;
	});
	afterAll(() => server?.close());

	test('shows the certificate of ~/private, and gives the response', async () => {
		install('private', server.users.alice);
		const response = await get(url, {ca: server.ca});
		expect(response.statusCode).toBe(200);
		expect(response.body).toBe('served by Apache\n');
		expect(response.headers['x-client-dn']).toBe('CN=alice,OU=Users,O=Gatepass');
		await expect(get(url, {ca: server.ca}).text()).resolves.toBe('served by Apache\n');
	});

	test('shows the one that CERN_CERTIFICATE_PATH names from then on', async () => {
		install('private', server.users.alice);
		expect((await get(url, {ca: server.ca})).headers['x-client-dn']).toContain('CN=alice');
		vi.stubEnv('CERN_CERTIFICATE_PATH', install('elsewhere', server.users.bob));
		expect((await get(url, {ca: server.ca})).headers['x-client-dn']).toContain('CN=bob');
	});

	test('shows the one that is named, and keeps its connection', async () => {
		const before = (await server.handshakes()).length;
		for (let count = 0; count < 5; count++) {
			const response = await get(url, {...server.users.bob, ca: [server.ca]});
			expect(response.headers['x-client-dn']).toContain('CN=bob');
		}
		expect((await server.handshakes()).length).toBe(before + 1);
	});

	test('knows the other places of the grid too', async () => {
		vi.stubEnv('X509_USER_CERT', server.users.alice.certificate);
		vi.stubEnv('X509_USER_KEY', server.users.alice.key);
		expect((await get(url, {ca: server.ca})).headers['x-client-dn']).toContain('CN=alice');
	});

	test('without a certificate it says where it looked', async () => {
		await expect(get(url, {ca: server.ca})).rejects.toThrow(CredentialUnavailableError);
		vi.stubEnv('CERN_CERTIFICATE_PATH', join(home, 'nowhere'));
		await expect(get(url, {ca: server.ca})).rejects.toThrow(/CERN_CERTIFICATE_PATH/);
		await expect(get(url, {certificate: server.users.bob.certificate})).rejects.toThrow(
			/'key'|belong together/,
		);
	});

	test('a status of 400 or above is an error, as got has it', async () => {
		install('private', server.users.bob);
		await expect(get(`${server.urls['TLSv1.3']}/alice`, {ca: server.ca})).rejects.toThrow(HTTPError);
		const response = await get(`${server.urls['TLSv1.3']}/alice`, {ca: server.ca, throwHttpErrors: false});
		expect(response.statusCode).toBe(403);
	});
});

test('get shows the certificate to the host of the URL alone, not to where that redirects', async () => {
	const authority = await createTestAuthority();
	const own = await authority.issue('server', {subject: 'CN=server', hosts: ['127.0.0.1']});
	const alice = await authority.issue('alice', {subject: 'CN=alice'});
	const [cert, key, ca] = [own.certificate, own.key, authority.ca].map(file => readFileSync(file));
	const shown: string[] = [];
	const start = (location?: string) =>
		startServer(
			(_, response, {socket}) => {
				shown.push(String(commonNameOf(socket as TLSSocket)));
				response
					.writeHead(location === undefined ? 200 : 302, location === undefined ? {} : {location})
					.end('{}');
			},
			createServer({cert, key, ca, requestCert: true, rejectUnauthorized: false}),
			'https',
		);
	const second = await start();
	const first = await start(`${second.url}/elsewhere`);
	try {
		install('private', alice);
		const response = await get(`${first.url}/page`, {
			ca: authority.ca,
			// What a request says about one server is for that one.
			hooks: {
				beforeRedirect: [
					options => {
						options.https = {certificateAuthority: ca};
					},
				],
			},
		});
		expect(response.url).toBe(`${second.url}/elsewhere`);
		expect(shown).toEqual(['alice', 'undefined']);
		expect(response.request.options.timeout.request).toBe(60_000);
	} finally {
		await Promise.all([first.close(), second.close(), authority.close()]);
	}
});

describe('tokens, from oidc-provider', () => {
	let authority: TestAuthority;
	let provider: OidcProvider;
	let api: ProtectedApi;
	let options: {ca: string; tokenEndpoint: string; targetApplication: string};

	beforeAll(async () => {
		authority = await createTestAuthority();
	});
	afterAll(() => authority?.close());
	beforeEach(async () => {
		provider = await startOidcProvider({authority, audiences: ['reports-api', 'other-api']});
		api = await startProtectedApi(provider);
		options = {ca: authority.ca, tokenEndpoint: provider.tokenEndpoint, targetApplication: 'reports-api'};
		return async () => {
			await api.close();
			await provider.close();
		};
	});

	test('one is fetched for many calls, with the client of the environment', async () => {
		useClient(clients.basic);
		const answers = await Promise.all(
			Array.from({length: 5}, () => getWithToken(`${api.url}/runs`, options).json()),
		);
		expect(answers).toEqual(
			answers.map(() => ({path: '/runs', client: clients.basic.clientId, audience: 'reports-api'})),
		);
		await getWithToken(`${api.url}/more`, options);
		expect(provider.tokenRequests).toHaveLength(1);
	});

	test('the client may stand in a .env, and in the options, with any characters', async () => {
		const {clientId, clientSecret} = clients.post;
		writeFileSync(
			join(home, '.env'),
			`SSO_CLIENT_ID="wrong"\nSSO_CLIENT_SECRET='${clients.basic.clientSecret}'\n`,
		);
		await expect(getWithToken(api.url, options)).rejects.toThrow(TokenRequestError);
		expect(await getWithToken(api.url, {...options, ...clients.basic}).json()).toMatchObject({
			client: clients.basic.clientId,
		});
		writeFileSync(join(home, '.env'), `SSO_CLIENT_ID='${clientId}'\nSSO_CLIENT_SECRET='${clientSecret}'\n`);
		expect(await getWithToken(api.url, options).json()).toMatchObject({client: clientId});
	});

	test('targetAudience is the same as targetApplication', async () => {
		useClient(clients.basic);
		const {targetApplication: _, ...others} = options;
		const answer = await getWithToken(api.url, {...others, targetAudience: 'reports-api'}).json();
		expect(answer).toMatchObject({audience: 'reports-api'});
		await getWithToken(api.url, options);
		expect(provider.tokenRequests).toHaveLength(1);
		await expect(getWithToken(api.url, {...options, targetAudience: 'other-api'})).rejects.toThrow(
			/two names for one thing/,
		);
		await expect(getWithToken(api.url, others)).rejects.toThrow(/targetApplication/);
		await expect(getApiToken(others)).rejects.toThrow(TypeError);
	});

	test('getApiToken gives the token and its end, and shares it with getWithToken', async () => {
		useClient(clients.basic);
		const before = Date.now();
		const {token, expiresAt} = await getApiToken(options);
		expect(expiresAt).toBeInstanceOf(Date);
		const lifetime = 300_000;
		// The server tells its clock in whole seconds.
		expect(expiresAt.getTime()).toBeGreaterThanOrEqual(before + lifetime - 2000);
		expect(expiresAt.getTime()).toBeLessThanOrEqual(Date.now() + lifetime + 2000);
		expect(await getApiToken(options)).toEqual({token, expiresAt});
		await getWithToken(api.url, options);
		expect(provider.tokenRequests).toHaveLength(1);
		expect((await getApiToken({...options, targetApplication: 'other-api'})).token).not.toBe(token);
		expect(provider.tokenRequests).toHaveLength(2);
	});

	test('a token that is handed in is shown, and none is fetched', async () => {
		const {token} = await getApiToken({...options, ...clients.basic});
		await getWithToken(api.url, {apiToken: token, ca: authority.ca});
		expect(api.judgements).toMatchObject([{status: 200, client: clients.basic.clientId}]);
		expect(provider.tokenRequests).toHaveLength(1);
		await expect(getWithToken(api.url, {apiToken: 'no-token', ca: authority.ca})).rejects.toThrow(HTTPError);
	});

	test('a token that the server refuses is replaced', async () => {
		useClient(clients.basic);
		await getWithToken(api.url, options);
		api.revokeShown();
		await getWithToken(api.url, options);
		expect(api.judgements.map(({status}) => status)).toEqual([200, 401, 200]);
	});

	test("the caller's headers, query and body type go along", async () => {
		useClient(clients.basic);
		const response = await getWithToken(`${api.url}/runs`, {
			...options,
			headers: {'x-own': 'yes'},
			searchParams: {page: 2},
			responseType: 'json',
		});
		expect(response.body).toMatchObject({path: '/runs?page=2'});
		expect(api.requests.at(-1)?.headers['x-own']).toBe('yes');
		expect(api.requests.at(-1)?.headers['content-type']).toBeUndefined();
	});

	test('after close, everything begins again', async () => {
		useClient(clients.basic);
		const {token} = await getApiToken(options);
		await close();
		expect((await getApiToken(options)).token).not.toBe(token);
	});

	test('what cannot be had is told in words, without the secret', async () => {
		await expect(getApiToken(options)).rejects.toThrow(CredentialUnavailableError);
		useClient({clientId: clients.basic.clientId, clientSecret: 'wrong-canary'});
		const error: unknown = await getWithToken(api.url, options).catch((failure: unknown) => failure);
		expect(error).toBeInstanceOf(TokenRequestError);
		expect(error).toMatchObject({status: 401, error: 'invalid_client'});
		expect(String(error)).not.toContain('wrong-canary');
		useClient(clients.basic);
		await expect(getApiToken({...options, targetApplication: 'nobody'})).rejects.toMatchObject({
			error: 'invalid_target',
		});
	});
});

test('a secret with the characters of a reference is sent as it is', async () => {
	const secret = 'a${HOME}$${b}${file:/etc/hostname}';
	const server = await startTokenServer({clientId: 'x', clientSecret: secret});
	try {
		const named = {clientId: 'x', clientSecret: secret, targetApplication: 'any'};
		const {tokenEndpoint} = server;
		expect(await getWithToken(server.url, {...named, tokenEndpoint}).json()).toMatchObject({
			authorized: true,
		});
	} finally {
		await server.close();
	}
});

test('neither a token nor a secret goes over plain http', async () => {
	useClient(clients.basic);
	const targetApplication = 'any';
	for (const call of [
		getWithToken('http://api.example.org/', {targetApplication}),
		getWithToken('http://api.example.org/', {apiToken: 'canary'}),
		getWithToken('https://api.example.org/', {targetApplication, tokenEndpoint: 'http://login.example.org/'}),
		getApiToken({targetApplication, tokenEndpoint: 'http://login.example.org/'}),
	]) {
		await expect(call).rejects.toThrow(InsecureTransportError);
	}
	await expect(get('cmsweb.cern.ch')).rejects.toThrow(TypeError);
});

test('a server that says nothing is given up', async () => {
	const server = await startServer(() => new Promise(() => {}));
	try {
		const call = getWithToken(server.url, {apiToken: 'x', timeout: {request: 100}, retry: {limit: 0}});
		await expect(call).rejects.toThrow(TimeoutError);
	} finally {
		await server.close();
	}
});

test('a token for each of many users leaves no connection for each of them', async () => {
	const authority = await createTestAuthority();
	const files = await authority.issue('api', {subject: 'CN=api', hosts: ['127.0.0.1']});
	const [cert, key] = [files.certificate, files.key].map(file => readFileSync(file));
	const https = createServer({cert, key, keepAliveTimeout: 60_000});
	const server = await startServer((_, response) => void response.end('{}'), https, 'https');
	try {
		for (let user = 0; user < 60; user++) {
			await getWithToken(server.url, {apiToken: `of-user-${user}`, ca: authority.ca});
		}
		const shown = new Set(server.requests.map(({headers}) => headers.authorization));
		expect(shown.size).toBe(60);
		const open = () =>
			new Promise<number>(resolve => {
				https.getConnections((_, count) => resolve(count));
			});
		await expect.poll(open).toBeLessThanOrEqual(50);
	} finally {
		await Promise.all([server.close(), authority.close()]);
	}
});
