import {createTestAuthority} from '../../src/testing/authority.ts';
import {errorOf, fault} from './harness.ts';

fault('identity-expired', [], () => async stage => {
	const authority = stage.ended(await createTestAuthority());
	const minute = 60_000;
	const times = {notBefore: Date.now() - 60 * minute, notAfter: Date.now() - minute};
	const files = await authority.issue('expired', {subject: 'CN=expired', ...times});
	const gatepass = await stage.open({
		hostRules: [{match: 'renew.example.org', strategy: 'grid-certificate', options: {...files}}],
	});
	return errorOf(gatepass.authorize('https://renew.example.org/renew'));
});
