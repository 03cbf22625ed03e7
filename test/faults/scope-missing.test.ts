import {expect} from 'vitest';
import {answerJson, startServer} from '../../src/testing/server.ts';
import {fault} from './harness.ts';
import {now, unsignedToken} from './oauth.ts';

fault('scope-missing', [], () => async stage => {
	const challenge = 'Bearer error="insufficient_scope", scope="runs.write"';
	const {url} = stage.ended(
		await startServer((_, response) => answerJson(response, 403, {}, {'www-authenticate': challenge})),
	);
	const token = unsignedToken({aud: 'runs', scope: 'runs.read', exp: now() + 300});
	const gatepass = await stage.open({hostRules: [{match: url, strategy: 'static-token', options: {token}}]});
	const diagnosis = await gatepass.diagnose(url);
	const [found] = diagnosis.diagnostics;
	expect(found?.what).toContain(
		'it wants the scope runs.write. The token has the audience runs and the scope runs.read',
	);
	return diagnosis;
});
