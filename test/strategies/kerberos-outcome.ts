/** What becomes of a context that is begun over a library: whose it is, or what the error says. */
import {expect} from 'vitest';
import {credentialSource} from '../../strategies/kerberos/credential-source.ts';
import {KoffiProvider} from '../../strategies/kerberos/koffi-provider.ts';
import type {KerberosOptions} from '../../strategies/kerberos/options.ts';
import type {KerberosForm} from './kerberos-forms.ts';
import {failureOf, type Library} from './kerberos-setup.ts';

export interface Attempt {
	/** Where the tickets come from, as a rule says it. */
	readonly options: Partial<KerberosOptions>;
	/** The service's host. Default: `www.first.test`. */
	readonly host?: string;
	/** Whose tickets are wanted, with the realm. */
	readonly wanted: string;
}

/** Begin a context, and compare with what the guide says of the form. */
export async function checkForm(
	form: KerberosForm,
	library: Library,
	{options, host = 'www.first.test', wanted}: Attempt,
): Promise<void> {
	const {error, isOther = false} = form[library];
	const source = credentialSource(options as KerberosOptions, process.env, path => path);
	const provider = new KoffiProvider({library, source, timeout: 30_000, rule: 'a rule'});
	const context = provider.createContext({
		target: `HTTP@${host}`,
		canonicalizeHostname: false,
		mechanism: 'spnego',
		mutualAuthentication: true,
		delegate: false,
		channelBindings: undefined,
		renew: false,
	});
	try {
		if (error !== undefined) {
			expect((await failureOf(context)).message).toMatch(error);
			return;
		}
		const {principal, token} = await context;
		expect(token.length).toBeGreaterThan(100);
		if (isOther) expect(principal).not.toBe(wanted);
		else expect(principal).toBe(wanted);
	} finally {
		await context.then(
			opened => opened.dispose(),
			() => {},
		);
		await provider.close();
	}
}
