/** Where a URL and the connection that Node would make for it disagree, no credential is sent. */
import {expect, onTestFinished, test} from 'vitest';
import {createGatepass, InsecureTransportError} from '../../src/index.ts';

test.each(['https://127.0.0.1:0/', 'http://127.0.0.1:0/'])('%s is refused', async url => {
	const gatepass = await createGatepass({
		env: {},
		config: {
			cache: {url: 'memory:'},
			hostRules: [
				{
					match: ['https://127.0.0.1:*', 'http://127.0.0.1:*'],
					strategy: 'static-token',
					options: {token: 'secret-token'},
				},
			],
		},
	});
	onTestFinished(() => gatepass.close());
	const failure = await gatepass.got(url, {retry: {limit: 0}}).catch(error => error);
	expect(failure).toBeInstanceOf(InsecureTransportError);
	expect(failure.message).toMatch(/port 0, on which no server can listen/);
	await expect(gatepass.authorize(url)).rejects.toBeInstanceOf(InsecureTransportError);
});
