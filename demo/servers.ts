/** The demo's servers: real ones, on ephemeral ports of 127.0.0.1, that remember what they saw. */
import {
	type CertificateFiles,
	createTestAuthority,
	startNegotiateServer,
	type TestAuthority,
} from 'gatepass/testing';
import {clients, type OidcProvider, startOidcProvider} from '../test/servers/oidc-provider.ts';
import {type ProtectedApi, startProtectedApi} from '../test/servers/protected-api.ts';
import {type Site, startSite} from './site.ts';

/** A server that tells what it saw of the requests to a path, a line for each. */
export interface Observer {
	readonly name: string;
	readonly url: string;
	saw(path: string): string[];
}

export interface DemoServers {
	readonly authority: TestAuthority;
	/** The certificate of the demo's user. */
	readonly person: CertificateFiles;
	/** The demo's client at the identity provider. */
	readonly client: {readonly clientId: string; readonly clientSecret: string};
	readonly identityProvider: OidcProvider;
	readonly runs: ProtectedApi;
	readonly archive: Site;
	readonly wiki: Awaited<ReturnType<typeof startNegotiateServer>>;
	readonly mirror: Site;
	readonly observers: readonly Observer[];
	close(): Promise<void>;
}

/** Start them: the runs API redirects to the archive, and that to the mirror. */
export async function startServers(): Promise<DemoServers> {
	const authority = await createTestAuthority('demo CA');
	const person = await authority.issue('alice', {subject: 'CN=alice,O=Demo'});
	const identityProvider = await startOidcProvider({
		authority,
		audiences: ['runs'],
		// Where CERN's single sign-on has it.
		tokenPath: '/auth/realms/cern/api-access/token',
	});
	const mirror = await startSite(authority, {name: 'mirror', demandsCertificate: false});
	const archive = await startSite(authority, {
		name: 'archive',
		demandsCertificate: true,
		redirects: {'/2024': `${mirror.url}/2024`},
	});
	const runs = await startProtectedApi(identityProvider, {
		audience: 'runs',
		redirects: {'/2024': `${archive.url}/2024`},
	});
	const wiki = await startNegotiateServer();
	const servers = [wiki, runs, archive, mirror, identityProvider];
	return {
		authority,
		person,
		client: clients.post,
		identityProvider,
		runs,
		archive,
		wiki,
		mirror,
		observers: [
			{name: 'runs API', url: runs.url, saw: path => runsSaw(runs, path)},
			{name: 'archive', url: archive.url, saw: path => siteSaw(archive, path)},
			{name: 'wiki', url: wiki.url, saw: path => wikiSaw(wiki, path)},
			{name: 'mirror', url: mirror.url, saw: path => siteSaw(mirror, path)},
		],
		async close() {
			for (const server of servers) await server.close();
			await authority.close();
		},
	};
}

function runsSaw({judgements}: ProtectedApi, path: string): string[] {
	return judgements
		.filter(judgement => judgement.path === path)
		.map(({client, audience, status, problem}) =>
			problem === undefined
				? `a token for ${audience}, issued to ${client}; answered ${status}`
				: `${problem}; answered ${status}`,
		);
}

function siteSaw({visits}: Site, path: string): string[] {
	return visits
		.filter(visit => visit.path === path)
		.map(({certificate, authorization, cookie, status}) => {
			const seen = [
				certificate === undefined ? 'no certificate' : `the certificate of ${certificate}`,
				authorization === undefined ? 'no token' : `a ${authorization} token`,
				...(cookie === undefined ? [] : ['a cookie']),
			];
			return `${seen.join(', ')}; answered ${status}`;
		});
}

function wikiSaw({requests}: DemoServers['wiki'], path: string): string[] {
	return requests
		.filter(({url}) => url === path)
		.map(({headers: {authorization}}) =>
			authorization === undefined
				? 'no ticket; asked for one'
				: `the ticket of ${principalOf(String(authorization))}`,
		);
}

/** A stub's token says in clear whose it is. */
function principalOf(authorization: string): string {
	const token = Buffer.from(authorization.replace('Negotiate ', ''), 'base64').toString();
	return (JSON.parse(token) as {principal: string}).principal;
}
