import {expect} from 'vitest';
import {startServer} from '../../src/testing/server.ts';
import {fault} from './harness.ts';

fault('redirect-keeps-key', [], () => async stage => {
	const third = stage.ended(await startServer((_, response) => void response.end('third party')));
	const api = stage.ended(
		await startServer((_, response) => void response.writeHead(302, {location: third.url}).end()),
	);
	const options = {header: 'x-api-key', value: 'canary'};
	const gatepass = await stage.open({hostRules: [{match: api.url, strategy: 'static-token', options}]});
	await gatepass.got(api.url);
	await gatepass.fetch(api.url);
	expect(api.requests.map(({headers}) => headers['x-api-key'])).toEqual(['canary', 'canary']);
	expect(third.requests).toHaveLength(2);
	expect(JSON.stringify(third.requests)).not.toContain('canary');
	return undefined;
});
