/**
 * Begins one context in a process of its own, and prints what comes of it. Parameters: library, cache, and where they
 * are not the usual ones: service, whether its host is an alias, and how many files to have open before.
 */
import {openSync} from 'node:fs';
import {KoffiProvider} from '../../strategies/kerberos/koffi-provider.ts';

const [library, cache, target = 'HTTP@localhost', isAlias, files = '0'] = process.argv.slice(2);
for (let opened = 0; opened < Number(files); opened++) openSync('/dev/null', 'r');
const provider = new KoffiProvider({
	library,
	source: {credentialCache: `FILE:${cache}`},
	timeout: 30_000,
	rule: 'a rule',
});
try {
	const context = await provider.createContext({
		target,
		canonicalizeHostname: isAlias === 'alias',
		mechanism: 'spnego',
		mutualAuthentication: true,
		delegate: false,
		channelBindings: undefined,
		renew: false,
	});
	console.log(`a token of ${context.token.length} bytes`);
} catch (error) {
	const {minor} = error as {minor?: number};
	console.log(`${error} (minor ${minor})`);
}
