/**
 * `npm run demo`: six lines of configuration, and requests to four kinds of server. Everything is real and on
 * loopback: the servers, the sockets, the configuration file. Ends with 1 where something did not go as it should.
 */
import {mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createGatepass} from 'gatepass';
import {checkOutput, checkServers} from './checks.ts';
import {describeHops, type Hop} from './hops.ts';
import {checkmark, heading, hopTable, paint, print, printed} from './print.ts';
import {type DemoServers, startServers} from './servers.ts';

const home = await mkdtemp(join(tmpdir(), 'gatepass-demo-'));
try {
	const servers = await startServers();
	try {
		await tell(servers);
	} finally {
		await servers.close();
	}
} finally {
	await rm(home, {recursive: true, force: true});
}

async function tell(servers: DemoServers): Promise<void> {
	const {identityProvider, runs, archive, wiki, mirror} = servers;
	heading('Servers on this machine, in this process');
	print(`  single sign-on  ${identityProvider.issuer}  oidc-provider, issues tokens to clients it knows`);
	print(`  runs API        ${runs.url}  demands a token that is meant for it`);
	print(`  archive         ${archive.url}  demands a client certificate`);
	print(
		`  wiki            ${wiki.url}   demands Negotiate (the strategy is a stub: no Kerberos realm needed)`,
	);
	print(`  mirror          ${mirror.url}  takes anyone; the configuration does not mention it`);

	const config = await writeHome(servers);
	heading('The configuration, gatepass.config.yaml');
	print((await readFile(config, 'utf8')).trimEnd());
	print(paint('dim', '(The client and its secret stand in .env beside it, the certificate in ~/.globus.)'));

	await using gatepass = await createGatepass({config, env: {HOME: home}});
	heading('Requests');
	const hops: Hop[][] = [];
	for (const url of [`${runs.url}/latest`, `${archive.url}/list`, `${wiki.url}/page`, `${runs.url}/2024`]) {
		const response = await gatepass.got(url);
		print(`  ${hops.length + 1}  await gatepass.got('${url}')`);
		print(`     → ${response.statusCode} ${response.body.replaceAll('","', '", "')}`);
		hops.push(await describeHops(gatepass, [url, ...response.redirectUrls], servers.observers, home));
	}

	heading('What happened, hop by hop');
	print(hopTable(hops));

	heading('Checks');
	for (const {claim, holds} of [...checkServers(servers), checkOutput(printed(), servers)]) {
		print(checkmark(holds, claim));
		if (!holds) process.exitCode = 1;
	}
}

/** A home folder as a user of the grid has it, and the configuration. */
async function writeHome({
	identityProvider,
	runs,
	archive,
	wiki,
	authority,
	person,
	client,
}: DemoServers): Promise<string> {
	const hostOf = (url: string): string => new URL(url).host;
	await mkdir(join(home, '.globus'));
	await writeFile(join(home, '.globus/usercert.pem'), await readFile(person.certificate));
	await writeFile(join(home, '.globus/userkey.pem'), await readFile(person.key), {mode: 0o600});
	await writeFile(join(home, 'ca.pem'), await readFile(authority.ca));
	const variables = `SSO_CLIENT_ID=${client.clientId}\nSSO_CLIENT_SECRET='${client.clientSecret}'\n`;
	await writeFile(join(home, '.env'), variables, {mode: 0o600});
	const config = join(home, 'gatepass.config.yaml');
	await writeFile(
		config,
		`trust: [{match: '127.0.0.1:*', ca: ./ca.pem, only: true}]
hostRules:
- {match: ${hostOf(runs.url)}, strategy: sso-client-credentials,
   options: {server: ${hostOf(identityProvider.issuer)}, audience: runs}}
- {match: ${hostOf(archive.url)}, strategy: grid-certificate}
- {match: ${wiki.url}, strategy: kerberos-stub}
`,
	);
	return config;
}
