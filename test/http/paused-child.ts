/** Fetches one URL, through a client whose time limit is short; for pauses.test.ts, which stops this process meanwhile. */
import got from 'got';
import {GotHttpClient} from '../../src/http/http-client.ts';
import {TlsAgents} from '../../src/tls/agents.ts';
import {TrustStores} from '../../src/trust/trust-stores.ts';

const agents = new TlsAgents();
const client = new GotHttpClient(async () => got, new TrustStores([]), agents, {
	timeout: 4000,
	retries: 0,
});
const [url = ''] = process.argv.slice(2);
try {
	const answer = await client.fetch(url, {method: 'POST', body: 'a=b'});
	console.log(await answer.text());
} catch (error) {
	console.log(String(error));
}
agents.close();
