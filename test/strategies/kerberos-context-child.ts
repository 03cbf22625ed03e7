/** Begins one context in a process of its own, and prints what comes of it. Parameters: library, cache. */
import {KoffiProvider} from '../../strategies/kerberos/koffi-provider.ts';

const [library, cache] = process.argv.slice(2);
const provider = new KoffiProvider({
	library,
	source: {credentialCache: `FILE:${cache}`},
	timeout: 30_000,
	rule: 'a rule',
});
try {
	const context = await provider.createContext({
		target: 'HTTP@localhost',
		canonicalizeHostname: false,
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
