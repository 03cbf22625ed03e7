/** Begins contexts one after another, at a time that faketime sets, and prints what the server answers to each,
 * or why there is none. A file that is given goes over the ticket cache after a first context. */
import {copyFileSync} from 'node:fs';
import {setTimeout as pause} from 'node:timers/promises';
import {KoffiProvider} from '../../strategies/kerberos/koffi-provider.ts';

const [library, source = '', url = '', later, cache = ''] = process.argv.slice(2);
const provider = new KoffiProvider({library, source: JSON.parse(source), timeout: 30_000, rule: 'a rule'});
const statuses: number[] = [];
const begin = () =>
	provider.createContext({
		target: 'HTTP@localhost',
		canonicalizeHostname: false,
		mechanism: 'spnego',
		mutualAuthentication: true,
		delegate: false,
		channelBindings: undefined,
		renew: false,
	});
if (later !== undefined) {
	await begin().catch(() => {});
	copyFileSync(later, cache);
}
for (let request = 0; request < 5; request++) {
	const context = await begin().catch((error: Error) => error.message);
	if (typeof context === 'string') {
		console.log(context);
		break;
	}
	const authorization = `Negotiate ${Buffer.from(context.token).toString('base64')}`;
	const {status} = await fetch(url, {headers: {authorization}});
	statuses.push(status);
	context.dispose();
	// A file is copied once it has been left alone for a moment.
	await pause(150);
}
await provider.close();
if (statuses.length > 0) console.log(statuses.join(' '));
