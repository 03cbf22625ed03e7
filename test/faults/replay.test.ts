import {setTimeout as pause} from 'node:timers/promises';
import {expect} from 'vitest';
import {startServer} from '../../src/testing/server.ts';
import {apacheNegotiate, startApacheNegotiate} from '../servers/apache-negotiate.ts';
import {mitKdc} from '../servers/kdc.ts';
import {useRealm} from '../strategies/kerberos-setup.ts';
import {fault} from './harness.ts';

// The server does see a replay where a token is sent twice. No request of gatepass's has the token of another one: not
// from two of them with one cache of tickets, not in one second, and not where a client sends a request again.
fault('replay', [mitKdc, apacheNegotiate], () => {
	const realm = useRealm();
	return async stage => {
		const {kdc} = realm;
		const server = stage.ended(await startApacheNegotiate(kdc, kdc.keytabs.http, true));
		const options = {credentialCache: await kdc.ticket(), preemptive: true};
		const [one, other] = [await realm.gatepassWith(options), await realm.gatepassWith(options)];
		const url = `http://localhost:${server.ports.http}/negotiate`;
		const {headers} = await one.authorize(url);
		const statuses: number[] = [];
		for (const _ of [1, 2]) statuses.push((await fetch(url, {headers})).status);
		expect(statuses).toEqual([200, 401]);

		const all = Array.from({length: 15}, () => [one.got(url), other.fetch(url), one.fetch(url)]).flat();
		for (const answer of await Promise.all(all)) {
			expect('statusCode' in answer ? answer.statusCode : answer.status).toBe(200);
		}
		const tokens = new Set<string | undefined>();
		for (let time = 0; time < 20; time++) {
			const {headers: shown} = await (time % 2 === 0 ? one : other).authorize(url);
			tokens.add(shown.authorization);
			await pause(1);
		}
		expect(tokens.size).toBe(20);
		// got sends again by itself.
		const busy = stage.ended(
			await startServer((_, response) => {
				response.writeHead(busy.requests.length === 1 ? 503 : 200).end();
			}),
		);
		const lenient = await realm.gatepassWith({...options, mutualAuthentication: 'optional'});
		await lenient.got(`http://localhost:${new URL(busy.url).port}/`);
		const sent = busy.requests.map(({headers}) => headers.authorization);
		expect(new Set(sent).size).toBe(2);
		return undefined;
	};
});
