/**
 * In a network where the addresses of the clouds' metadata are this very machine's, and whatever connects waits for ever:
 * has every kind of rule ask for a credential that is not there, and tells who connected.
 */
import {once} from 'node:events';
import {connect, createServer} from 'node:net';
import {createGatepass} from 'gatepass';

const addresses = process.argv.slice(2);
const connections: string[] = [];
const servers = addresses.map(address => {
	const server = createServer(socket => {
		connections.push(address);
		socket.on('error', () => {});
	});
	return server.listen(80, address);
});
await Promise.all(servers.map(server => once(server, 'listening')));
// Whoever asked there would be seen.
for (const host of addresses) {
	const socket = connect({host, port: 80});
	await once(socket, 'connect');
	socket.destroy();
}
const seen = connections.length;

const none = {
	'aws-sigv4': {service: 's3', region: 'eu-central-1'},
	'sso-client-credentials': {tokenEndpoint: 'http://127.0.0.1:9/token'},
	'sso-token-exchange': {tokenEndpoint: 'http://127.0.0.1:9/token', subjectToken: {variable: 'NOWHERE'}},
	'sso-jwt-bearer': {tokenEndpoint: 'http://127.0.0.1:9/token', assertion: {file: '/nonexistent/token'}},
	command: {command: ['no-such-program']},
	'oidc-agent': {account: 'nobody'},
	'wlcg-token': {},
	'grid-certificate': {},
	spiffe: {},
	kerberos: {credentialCache: 'FILE:/nonexistent/cache', preemptive: true},
};
const of = Object.entries(none).map(([strategy, options]) => ({strategy, options}));
const rules = [...of, {strategy: 'chain', options: {of, goOnAfter: 'failure'}}];
const gatepass = await createGatepass({
	env: {HOME: '/nonexistent', PATH: process.env.PATH},
	config: {
		cache: {url: 'memory:'},
		hostRules: rules.map(({strategy, options}) => ({
			match: `https://${strategy}.example.org`,
			strategy,
			options,
		})),
	},
});
const failed: string[] = [];
for (const {strategy} of rules) {
	await gatepass.authorize(`https://${strategy}.example.org/`).catch(() => failed.push(strategy));
}
await gatepass.status();
console.log(JSON.stringify({seen, connected: connections.slice(seen), failed}));
await gatepass.close();
for (const server of servers) server.close();
