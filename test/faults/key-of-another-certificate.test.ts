import {createTestAuthority} from '../../src/testing/authority.ts';
import {errorOf, fault} from './harness.ts';

fault('key-of-another-certificate', [], () => async stage => {
	const authority = stage.ended(await createTestAuthority());
	const {certificate} = await authority.issue('renewed', {subject: 'CN=alice'});
	const {key} = await authority.issue('before', {subject: 'CN=alice'});
	const options = {certificate, key};
	const gatepass = await stage.open({
		hostRules: [{match: 'api.example.org', strategy: 'grid-certificate', options}],
	});
	return errorOf(gatepass.authorize('https://api.example.org/'));
});
