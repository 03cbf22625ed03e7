/** The recipes that can be followed on one machine, with servers of this machine in the place of their hosts. */
import {copyFile, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {decodeJwt} from 'jose';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {parse} from 'yaml';
import {type ConfigurationInput, createGatepass, type Gatepass} from '../../src/index.ts';
import {
	startMtlsServer,
	startTokenServer,
	type TestServer,
	type TokenServer,
} from '../../src/testing/index.ts';
import {answerJson, startServer} from '../../src/testing/server.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {clients, startOidcProvider} from '../servers/oidc-provider.ts';
import {useRealm} from '../strategies/kerberos-setup.ts';
import {makeClientKey} from '../strategies/sso-protocol-setup.ts';
import {unsignedJwt} from '../strategies/unsigned-jwt.ts';
import {root} from './markdown.ts';

let folder: string;
let api: TokenServer;
const servers: TestServer[] = [];
beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), 'gatepass-recipes-'));
	api = await startTokenServer();
	servers.push(api);
});
afterEach(async () => {
	await Promise.all(servers.splice(0).map(server => server.close()));
	await rm(folder, {recursive: true, force: true});
});

/** A gatepass by a recipe, with addresses of this machine in the place of those on the left. */
async function follow(
	file: string,
	places: Readonly<Record<string, string>>,
	env: Readonly<Record<string, string>> = {},
	more: ConfigurationInput = {},
): Promise<Gatepass> {
	let text = await readFile(join(root, 'docs/examples', file), 'utf8');
	for (const [place, here] of Object.entries(places)) text = text.replaceAll(place, here);
	const settings = {cwd: folder, env: {HOME: folder, ...env}};
	if (!file.endsWith('.ts'))
		return createGatepass({...settings, config: {...parse(text), cache: {url: 'memory:'}, ...more}});
	const config = join(folder, 'gatepass.config.ts');
	await writeFile(config, text.replace("'gatepass'", `'${join(root, 'src/index.ts')}'`));
	return createGatepass({...settings, config});
}

const assertionsOf = (server: TestServer): (string | null)[] =>
	server.requests
		.filter(({method}) => method === 'POST')
		.map(({body}) => new URLSearchParams(body).get('client_assertion'));

test('Kubernetes: the token of the service account is shown, and one in its exchange', async () => {
	const cluster = await startServer((_request, response) => answerJson(response, 200, {}));
	servers.push(cluster);
	const [own, first, second] = [1, 2, 3].map(minutes => unsignedJwt({exp: Date.now() / 1000 + 60 * minutes}));
	await writeFile(join(folder, 'token'), `${own}\n`);
	await writeFile(join(folder, 'login'), `${first}\n`);
	const authority = await startMtlsServer();
	servers.push(authority);
	await using gatepass = await follow(
		'recipe-kubernetes.yaml',
		{
			'match: https://kubernetes.default.svc\n    strategy': `match: ${cluster.url}\n    strategy`,
			'https://api.example.org': api.url,
			'https://login.example.org': api.url,
		},
		{
			CLUSTER_CA: authority.ca,
			SERVICE_ACCOUNT_TOKEN: join(folder, 'token'),
			LOGIN_TOKEN: join(folder, 'login'),
		},
	);
	await gatepass.got(`${cluster.url}/api`);
	expect(cluster.requests.at(-1)?.headers.authorization).toBe(`Bearer ${own}`);
	expect(await gatepass.got(`${api.url}/runs`).json()).toMatchObject({authorized: true});
	await writeFile(join(folder, 'login'), `${second}\n`);
	await gatepass.got(`${api.url}/runs`, {context: {gatepass: {fresh: true}}});
	expect(assertionsOf(api)).toEqual([first, second]);
});

test('GitHub Actions: a token of the job is asked for with each token request', async () => {
	let count = 0;
	const github = await startServer((_request, response) =>
		answerJson(response, 200, {value: unsignedJwt({jti: String(++count), exp: Date.now() / 1000 + 300})}),
	);
	servers.push(github);
	const variables = {
		ACTIONS_ID_TOKEN_REQUEST_URL: `${github.url}/token?api-version=2.0`,
		ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of-the-runner',
	};
	// The function of the recipe reads the process's own.
	Object.assign(process.env, variables);
	try {
		await using gatepass = await follow('recipe-github-actions.ts', {
			"'https://api.example.org'": `'${api.url}'`,
			"'https://login.example.org/token'": `'${api.tokenEndpoint}'`,
		});
		await gatepass.got(`${api.url}/runs`);
		await gatepass.got(`${api.url}/runs`, {context: {gatepass: {fresh: true}}});
		expect(new Set(assertionsOf(api)).size).toBe(2);
		for (const {url, headers} of github.requests) {
			expect(headers.authorization).toBe('Bearer of-the-runner');
			expect(url).toBe('/token?api-version=2.0&audience=https://login.example.org/token');
		}
	} finally {
		for (const name of Object.keys(variables)) delete process.env[name];
	}
});

test('a private CA: its server is believed, and sees the certificate', async () => {
	const files = await startMtlsServer();
	servers.push(files);
	await copyFile(files.ca, join(folder, 'lab-ca.pem'));
	await copyFile(files.client.certificate, join(folder, 'client.pem'));
	await copyFile(files.client.key, join(folder, 'client.key'));
	await using gatepass = await follow('recipe-private-ca.yaml', {
		'https://*.lab.example.org': files.url,
		'https://files.lab.example.org': files.url,
	});
	expect(await gatepass.got(`${files.url}/list`).json()).toMatchObject({subject: expect.anything()});
});

test('WLCG storage: a token comes before a certificate, and uploads to one folder get a macaroon', async () => {
	const token = unsignedJwt({exp: Date.now() / 1000 + 600});
	await using gatepass = await follow(
		'recipe-wlcg.yaml',
		{'ca: grid': 'ca: bundle:igtf'},
		{BEARER_TOKEN: token},
	);
	const {headers} = await gatepass.authorize('https://se.grid.example.org:8443/data/file');
	expect(headers.authorization).toBe(`Bearer ${token}`);
	const uploads = 'https://dcache.grid.example.org:2880/pnfs/results/x';
	expect(gatepass.explain(uploads, {method: 'PUT'}).rule?.strategy).toBe('macaroon');
	expect(gatepass.explain(uploads, {method: 'GET'}).rule?.strategy).toBe('chain');
});

test('CERN: each host has its rule, and the token endpoint is the bundle’s', async () => {
	await using gatepass = await follow('recipe-cern.yaml', {}, {SSO_CLIENT_ID: 'a', SSO_CLIENT_SECRET: 'b'});
	const ruleOf = (url: string) => gatepass.explain(url).rule?.strategy;
	expect(ruleOf('https://cmsweb.cern.ch/dbs')).toBe('grid-certificate');
	expect(ruleOf('https://cmsoms.cern.ch/agg/api/v1/runs')).toBe('sso-client-credentials');
	expect(ruleOf('https://cmsrunregistry.web.cern.ch/api')).toBe('sso-client-credentials');
	expect(gatepass.explain('https://cmsoms.cern.ch/agg').notes?.join()).toContain('cern');
});

test('Keycloak: by its metadata a secret, a signed assertion, and an exchange for a user', async () => {
	const {pkcs8, jwk} = makeClientKey('reports', 'P-256');
	const provider = await startOidcProvider({clientKeys: [jwk]});
	try {
		const trust = [{match: '127.0.0.1:*', ca: provider.ca, only: true}];
		await writeFile(join(folder, 'client-secret'), `${clients.basic.clientSecret}\n`);
		await writeFile(join(folder, 'signing-key.pem'), pkcs8);
		await using gatepass = await follow(
			'recipe-keycloak.yaml',
			{
				'https://login.example.org/realms/main': provider.issuer,
				'reports-signed': clients.privateKeyJwt.clientId,
				'clientId: reports': `clientId: ${clients.basic.clientId}`,
				'/run/reports/user-token': join(folder, 'user-token'),
			},
			{},
			{trust},
		);
		const tokenFor = async (url: string): Promise<string> =>
			String((await gatepass.authorize(url)).headers.authorization).replace('Bearer ', '');
		const users = await tokenFor('https://api.example.org/');
		expect(await provider.isActive(users)).toBe(true);
		expect(await provider.isActive(await tokenFor('https://signed.example.org/'))).toBe(true);
		await writeFile(join(folder, 'user-token'), users);
		const exchanged = decodeJwt(await tokenFor('https://orders.example.org/'));
		expect(exchanged).toMatchObject({aud: 'orders', exchanged_sub: clients.basic.clientId});
		expect(provider.tokenRequests.map(({clientId, error}) => [clientId, error])).toEqual([
			[clients.basic.clientId, undefined],
			[clients.privateKeyJwt.clientId, undefined],
			[clients.basic.clientId, undefined],
		]);
	} finally {
		await provider.close();
	}
});

describeWith([mitKdc, apacheNegotiate], 'Active Directory', () => {
	const realm = useRealm();

	test('by its key table, also where the URL has another name than the service', async () => {
		await copyFile(realm.server.ca, join(folder, 'lab-ca.pem'));
		await using gatepass = await follow('recipe-active-directory.yaml', {
			'https://*.corp.example.org\n    ca:': '[localhost:*, 127.0.0.1:*]\n    ca:',
			'https://*.corp.example.org': realm.url('https', ''),
			'https://intranet.corp.example.org': realm.url('https', '', '127.0.0.1'),
			'svc-reports@CORP.EXAMPLE.ORG': `robot@${realm.kdc.realm}`,
			'/etc/reports/reports.keytab': realm.kdc.keytabs.robot,
			'web17.corp.example.org': 'localhost',
		});
		for (const host of ['localhost', '127.0.0.1']) {
			const {statusCode} = await gatepass.got(realm.url('https', '/negotiate', host), {retry: {limit: 0}});
			expect({host, statusCode}).toEqual({host, statusCode: 200});
		}
		const {stages} = await gatepass.diagnose(realm.url('https', '/negotiate', '127.0.0.1'));
		expect(stages.find(({name}) => name === 'kerberos')?.evidence).toMatchObject({
			'service asked for': 'HTTP/localhost',
			principal: `robot@${realm.kdc.realm}`,
		});
	});
});
