import {writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {errorOf, fault} from './harness.ts';
import {now, unsignedToken} from './oauth.ts';

fault('token-expired', [], () => async stage => {
	const file = join(await stage.folder(), 'token');
	await writeFile(file, unsignedToken({exp: now() - 60}), {mode: 0o600});
	const gatepass = await stage.open({
		hostRules: [{match: 'storage.example.org', strategy: 'wlcg-token', options: {file}}],
	});
	return errorOf(gatepass.authorize('https://storage.example.org/'));
});
