import {expect} from 'vitest';
import {startServer} from '../../src/testing/server.ts';
import {fault} from './harness.ts';

fault('no-rule', [], () => async stage => {
	const {url} = stage.ended(
		await startServer((_, response) => void response.writeHead(401, {'www-authenticate': 'Bearer'}).end()),
	);
	const gatepass = await stage.open({
		hostRules: [
			{match: `${url}/api`, methods: ['POST'], strategy: 'static-token', options: {token: 'abc'}},
			{match: 'https://elsewhere.example.org', strategy: 'static-token', options: {token: 'abc'}},
		],
	});
	const diagnosis = await gatepass.diagnose(`${url}/ap`);
	const found = diagnosis.diagnostics.find(({severity}) => severity === 'error');
	expect(found?.what).toContain('the path /ap is not /api or below it, and the method is GET, not POST');
	return diagnosis;
});
