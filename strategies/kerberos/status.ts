/** What `status` says of a rule's credential. */
import {stat} from 'node:fs/promises';
import {type Diagnostic, diagnostic, render, warning} from '../../src/diagnostics/diagnostic.ts';
import {GatepassError} from '../../src/errors.ts';
import type {CredentialStatus, Evidence} from '../../src/strategy/index.ts';
import {renewUntil} from './cache-file.ts';
import type {CredentialSource} from './gss-messages.ts';
import {principalsIn} from './keytab-file.ts';
import type {KoffiProvider} from './koffi-provider.ts';
import type {KerberosOptions} from './options.ts';

/**
 * Without `verify` the KDC is not asked, so tickets that are yet to be fetched are taken for available. With it, a
 * service that it gives no ticket for makes the rule unavailable, as its requests would fail.
 */
export async function credentialStatus(
	provider: KoffiProvider,
	{keytab, password, principal = 'its first principal'}: CredentialSource,
	verify: boolean,
	services: readonly Parameters<KoffiProvider['check']>[0][],
): Promise<CredentialStatus> {
	try {
		const warnings = keytab === undefined ? [] : await warningsFor(keytab);
		const also = {diagnostics: warnings};
		if (!verify && (keytab !== undefined || password !== undefined)) {
			const from = keytab === undefined ? 'its password' : `the key table ${keytab}`;
			return {available: true, detail: `${principal}, by ${from}; the KDC was not asked`, ...also};
		}
		const facts = await provider.inquire();
		const renewable = facts.cache === undefined ? undefined : await renewUntil(facts.cache);
		const until =
			renewable === undefined ? '' : `, renewable until ${new Date(renewable * 1000).toISOString()}`;
		for (const service of services) await provider.check(service);
		const names = services.map(({target}) => target.replace('@', '/')).join(', ');
		const tickets = names === '' ? '' : `; the KDC gives a ticket for ${names}`;
		return {
			available: facts.lifetime > 0,
			detail: `${facts.principal} through ${facts.library}${until}${tickets}`,
			expiresAt: Date.now() + facts.lifetime * 1000,
			...also,
		};
	} catch (error) {
		if (error instanceof GatepassError) {
			return {available: false, detail: error.message, diagnostics: error.diagnostics};
		}
		const {code} = error as NodeJS.ErrnoException;
		const what = `The key table ${keytab} cannot be read (${code})`;
		const found = diagnostic({code: 'kerberos-key-table-unusable', what, hint: "Correct 'keytab'"});
		return {available: false, detail: render(found), diagnostics: [found]};
	}
}

async function warningsFor(keytab: string): Promise<Diagnostic[]> {
	const {mode} = await stat(keytab);
	return (mode & 0o077) === 0
		? []
		: [
				warning({
					code: 'kerberos-key-table-readable-by-others',
					what: 'Others than its owner may read the key table',
					hint: `Run 'chmod 600 ${keytab}'`,
					where: keytab,
				}),
			];
}

/** Where the tickets come from, and what the rule asks of them. */
export function evidenceOf(
	{keytab, password, principal, credentialCache}: CredentialSource,
	{delegate, channelBindings, mutualAuthentication, mechanism}: KerberosOptions,
): Evidence {
	const tickets =
		keytab !== undefined
			? `by the key table ${keytab}`
			: password !== undefined
				? 'by the password of the rule'
				: (credentialCache ?? "the library's usual cache");
	return {
		tickets,
		...(principal !== undefined && {'principal asked for': principal}),
		...(keytab !== undefined && {'principals of the key table': principalsOf(keytab)}),
		mechanism,
		'mutual authentication': mutualAuthentication,
		delegation: delegate,
		'channel bindings': channelBindings,
	};
}

function principalsOf(keytab: string): string[] {
	try {
		return [...new Set(principalsIn(keytab))];
	} catch {
		return [];
	}
}
