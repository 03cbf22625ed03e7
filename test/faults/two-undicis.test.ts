import {fetch as fetchOfUndici, request} from 'undici';
import {expect} from 'vitest';
import {startServer} from '../../src/testing/server.ts';
import {fault} from './harness.ts';

// Node has an undici of its own, the package is of another version.
fault('two-undicis', [], () => async stage => {
	const {url, requests} = stage.ended(await startServer((_, response) => void response.end('served')));
	const gatepass = await stage.open({
		hostRules: [{match: url, strategy: 'static-token', options: {token: 'abc'}}],
	});
	const {dispatcher} = gatepass;
	const byNode = await fetch(url, {dispatcher} as unknown as RequestInit);
	const byPackage = await fetchOfUndici(url, {dispatcher} as never);
	const {body} = await request(url, {dispatcher});
	expect([await byNode.text(), await byPackage.text(), await body.text()]).toEqual([
		'served',
		'served',
		'served',
	]);
	expect(requests.map(({headers}) => headers.authorization)).toEqual(Array(3).fill('Bearer abc'));
	return undefined;
});
