/** What a strategy adds to a query leaves the caller's as it was written, down to the server. */
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {expect, onTestFinished, test} from 'vitest';
import {mergeQuery} from '../../src/hop/query.ts';
import {createGatepass} from '../../src/index.ts';

const queries = [
	'?name=%E9',
	'?q=a%20b',
	'?q=a+b',
	'?select=(id,name)',
	'?download',
	'?a=1;b=2',
	'?a=1&&b=2',
	'?a=1&a=1',
	'?x=%7E&y=~',
	'?q=',
	'',
];

test.each(queries)("'%s' is kept to the byte", async query => {
	const server = createServer((request, response) => void response.end(request.url));
	await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
	const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	const options = {query: 'key', value: 'K&1'};
	const gatepass = await createGatepass({
		env: {},
		config: {cache: {url: 'memory:'}, hostRules: [{match: origin, strategy: 'static-token', options}]},
	});
	onTestFinished(async () => {
		await gatepass.close();
		await new Promise(done => server.close(done));
	});
	expect(await gatepass.got(`${origin}/${query}`).text()).toBe(
		`/${query === '' ? '?' : `${query}&`}key=K%261`,
	);
});

function changed(url: string, change: (parameters: URLSearchParams) => void): string {
	const copy = new URL(url);
	change(copy.searchParams);
	return mergeQuery(new URL(url), copy);
}

test('what a strategy replaces or deletes is gone, and the rest as it was', () => {
	const url = 'https://h/?a=%E9&key=old&b=x%20y';
	expect(changed(url, parameters => parameters.set('key', 'new'))).toBe('?a=%E9&b=x%20y&key=new');
	expect(changed(url, parameters => parameters.delete('key'))).toBe('?a=%E9&b=x%20y');
	expect(changed('https://h/?key=1', parameters => parameters.delete('key'))).toBe('');
});

test('a change that changes nothing leaves the query alone', () => {
	expect(changed('https://h/?a=%E9;b', parameters => parameters.delete('none'))).toBe('?a=%E9;b');
});
