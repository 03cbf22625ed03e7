import {writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {expect} from 'vitest';
import {fault} from './harness.ts';
import {now, unsignedToken} from './oauth.ts';

fault('token-file-read-once', [], () => async stage => {
	const file = join(await stage.folder(), 'token');
	const [first, second] = [{jti: 'first'}, {jti: 'second'}].map(id =>
		unsignedToken({...id, exp: now() + 600}),
	);
	await writeFile(file, `${first}\n`, {mode: 0o600});
	const gatepass = await stage.open({
		hostRules: [{match: 'storage.example.org', strategy: 'wlcg-token', options: {file}}],
	});
	const shown = async () => (await gatepass.authorize('https://storage.example.org/')).headers.authorization;
	expect(await shown()).toBe(`Bearer ${first}`);
	await writeFile(file, `${second}\n`);
	await expect.poll(shown).toBe(`Bearer ${second}`);
	return undefined;
});
