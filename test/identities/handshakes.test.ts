/** Each form of a certificate and key in a real handshake with a real server, which says whom it saw. */
import {afterAll, beforeAll, test} from 'vitest';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import {type ApacheMtls, apache, startApacheWith, type TlsVersion} from '../servers/apache.ts';
import {describeWith} from '../servers/availability.ts';
import {certificateForms, type FormMaker, type GridForm, proxyForms} from '../servers/grid-forms.ts';
import {createGridPki, type GridPki} from '../servers/grid-pki.ts';
import {gridProxyTools} from '../servers/grid-proxies.ts';
import {type Gridsite, gridsite, startGridsite} from '../servers/gridsite.ts';
import {type Nginx, nginx, startNginx} from '../servers/nginx.ts';
import {
	type OpensslServer,
	opensslServer,
	startOpensslServer,
	subjectSeen,
} from '../servers/openssl-server.ts';

const versions: readonly TlsVersion[] = ['TLSv1.3', 'TLSv1.2'];

describeWith([apache, nginx, gridsite, opensslServer, gridProxyTools], 'a handshake', () => {
	let pki: GridPki;
	const servers = {} as {
		apache: ApacheMtls;
		nginx: Nginx;
		gridsite: Gridsite;
		openssl: Record<TlsVersion, OpensslServer>;
	};

	beforeAll(async () => {
		pki = await createGridPki();
		servers.apache = await startApacheWith(pki);
		servers.nginx = await startNginx(pki);
		servers.gridsite = await startGridsite(pki);
		const start = (version: TlsVersion) => startOpensslServer(pki, {version, allowProxies: true});
		servers.openssl = {'TLSv1.3': await start('TLSv1.3'), 'TLSv1.2': await start('TLSv1.2')};
	});
	afterAll(async () => {
		const {apache, nginx, gridsite, openssl} = servers;
		await Promise.all(
			[apache, nginx, gridsite, ...Object.values(openssl ?? {})].map(server => server?.close()),
		);
		await pki?.close();
	});

	async function gatepassFor(url: string, {options, env = {}}: GridForm): Promise<Gatepass> {
		return createGatepass({
			env: {HOME: pki.folder, ...env},
			config: {
				cache: {url: 'memory:'},
				trust: [{match: new URL(url).origin, ca: pki.ca, only: true}],
				hostRules: [{match: new URL(url).origin, strategy: 'grid-certificate', options}],
			},
		});
	}

	/** The subject that the server reports, when a form is used there. */
	async function subjectAt(url: string, form: GridForm): Promise<string | undefined> {
		await using gatepass = await gatepassFor(url, form);
		const {headers, body} = await gatepass.got(url, {retry: {limit: 0}});
		return headers['x-client-dn']?.toString() ?? subjectSeen(body);
	}

	const makers = (forms: Readonly<Record<string, FormMaker>>) => Object.entries(forms);

	test.for(makers(certificateForms))('Apache, nginx and openssl s_server: %s', async ([, make], context) => {
		const form = await make(pki);
		for (const version of versions) {
			for (const url of [
				servers.apache.urls[version],
				servers.nginx.urls[version],
				servers.openssl[version].url,
			]) {
				context.expect(await subjectAt(url, form), `${version}, ${url}`).toBe(form.subject);
			}
		}
	});

	test.for(makers(proxyForms))('mod_gridsite and openssl s_server: %s', async ([, make], context) => {
		const form = await make(pki);
		context.expect(form.subject).toMatch(/^CN=\d+,(CN=\d+,)?CN=[a-zR]/);
		for (const version of versions) {
			for (const url of [servers.gridsite.urls[version], servers.openssl[version].url]) {
				context.expect(await subjectAt(url, form), `${version}, ${url}`).toBe(form.subject);
			}
		}
	});
});
