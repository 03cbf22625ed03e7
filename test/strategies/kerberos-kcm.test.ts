/** Tickets in a KCM, with two realms in one collection. */
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {KoffiProvider} from '../../strategies/kerberos/koffi-provider.ts';
import {describeWith} from '../servers/availability.ts';
import {heimdalKcm, type Kcm, startKcm} from '../servers/kcm.ts';
import {mitKdc} from '../servers/kdc.ts';
import {startTwoRealms, type TwoRealms} from '../servers/two-realms.ts';
import {kcmForms} from './kerberos-forms.ts';
import {type Attempt, checkForm} from './kerberos-outcome.ts';
import {libraries} from './kerberos-setup.ts';

const [alice, other] = ['alice@GATEPASS.TEST', 'alice@SECOND.TEST'];

describeWith([mitKdc, heimdalKcm], 'tickets in a KCM', () => {
	let realms: TwoRealms;
	let kcm: Kcm;
	const before = {...process.env};
	beforeAll(async () => {
		realms = await startTwoRealms();
		kcm = await startKcm(realms.configuration);
		await realms.ticket('first', 'KCM:0:one');
		await realms.ticket('second', 'KCM:0:two');
		Object.assign(process.env, {KRB5_CONFIG: realms.withDomains, KRB5CCNAME: 'KCM:'});
	});
	afterAll(async () => {
		for (const name of ['KRB5_CONFIG', 'KRB5CCNAME']) {
			if (before[name] === undefined) delete process.env[name];
			else process.env[name] = before[name];
		}
		await kcm?.close();
		await realms?.close();
	});

	const ways: Readonly<Record<(typeof kcmForms)[number]['name'], Attempt>> = {
		'KCM name': {options: {credentialCache: 'KCM:0:one'}, wanted: alice},
		KCM: {options: {credentialCache: 'KCM:'}, wanted: alice},
		'KCM principal': {options: {credentialCache: 'KCM:', principal: alice}, wanted: alice},
	};
	describe.each(libraries)('over %s', library => {
		test.for(kcmForms)(`$title: $${library}.shown`, async form => {
			await checkForm(form, library, ways[form.name]);
		});
	});

	test.for(
		libraries.flatMap(library =>
			[
				// By realm with MIT, the primary ones with Heimdal.
				[{}, 'first', library === 'mit' ? alice : other],
				[{}, 'second', other],
				[{credentialCache: 'KCM:'}, 'second', other],
				[{credentialCache: 'KCM:0:one'}, 'second', alice],
				[{principal: alice}, 'second', alice],
				[{principal: other}, 'first', other],
				[{credentialCache: 'KCM:', principal: alice}, 'first', alice],
			].map(row => [library, ...row] as [string, Record<string, string>, string, string]),
		),
	)('over %s, %j, for a service of the %s realm: those of %s', async ([library, source, host, expected]) => {
		const provider = new KoffiProvider({library, source, timeout: 30_000, rule: 'a rule'});
		const service = {target: `HTTP@www.${host}.test`, canonicalizeHostname: false};
		expect(await provider.whose(service)).toBe(expected);
		const context = await provider.createContext({
			...service,
			mechanism: 'spnego',
			mutualAuthentication: true,
			delegate: false,
			channelBindings: undefined,
			renew: false,
		});
		expect(context.principal).toBe(expected);
		expect(context.token.length).toBeGreaterThan(100);
		context.dispose();
		await provider.close();
	});
});
