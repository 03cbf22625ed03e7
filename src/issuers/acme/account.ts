/** Accounts of an ACME server (RFC 8555 section 7.3): register, find, update, change the key, deactivate. */
import type {ExternalAccountBinding} from '../../config/certificate-settings.ts';
import {AcmeError} from '../../errors.ts';
import type {AcmeConnection, Signer} from './connection.ts';
import {type AccountKey, bindExternalAccount} from './jws.ts';

/** An account as its server describes it. */
export interface AccountResource {
	readonly status: 'valid' | 'deactivated' | 'revoked';
	readonly contact?: readonly string[];
	readonly termsOfServiceAgreed?: boolean;
	readonly orders?: string;
}

export interface Account extends Signer {
	readonly key: AccountKey;
	readonly accountUrl: string;
	readonly resource: AccountResource;
}

export interface Registration {
	/** A mail address; absent: none, where the authority allows that. */
	readonly email?: string | undefined;
	/** Whether to agree to the terms at this address, which is an empty string where the server names none. */
	readonly termsOfService: (url: string) => boolean | Promise<boolean>;
	readonly externalAccountBinding?: ExternalAccountBinding | undefined;
	/** Whether nobody has used the key before: then there is no account to look for. */
	readonly isNewKey?: boolean;
	readonly signal?: AbortSignal | undefined;
}

/**
 * Register an account, or find the one that the key has.
 *
 * @throws {AcmeError} where the terms are not agreed to, a binding is wanted and missing, or the server refuses.
 */
export async function registerAccount(
	connection: AcmeConnection,
	key: AccountKey,
	{email, termsOfService, externalAccountBinding, isNewKey = false, signal}: Registration,
): Promise<Account> {
	// A binding must not go out for an account that is there: the key may be meant for one use.
	const existing = isNewKey ? undefined : await findAccount(connection, key, signal);
	if (existing !== undefined) return existing;
	const {newAccount, meta} = await connection.directory();
	if (meta.externalAccountRequired === true && externalAccountBinding === undefined) {
		throw new AcmeError(
			{
				code: 'account-binding-required',
				what: `${connection.place} takes accounts only with an external account binding`,
				hint: 'Ask the authority for a key identifier and a key, and name them (--eab-kid and --eab-hmac-key)',
			},
			{type: 'externalAccountRequired'},
		);
	}
	const terms = meta.termsOfService ?? '';
	if (terms !== '' && !(await termsOfService(terms))) {
		throw new AcmeError(
			{
				code: 'terms-not-agreed',
				what: `The terms of service of ${connection.place} were not agreed to`,
				hint: `Read ${terms}, and agree (--agree-tos, or 'termsOfServiceAgreed: true') to get an account`,
			},
			{type: 'userActionRequired'},
		);
	}
	const answer = await connection.post(
		newAccount,
		{
			...(terms !== '' && {termsOfServiceAgreed: true}),
			...(email !== undefined && {contact: [`mailto:${email}`]}),
			...(externalAccountBinding !== undefined && {
				externalAccountBinding: bindExternalAccount(externalAccountBinding, newAccount, key),
			}),
		},
		{key},
		{what: 'refused the account', signal},
	);
	return accountFrom(connection, key, answer.location, answer.body);
}

/** The account that a key has; `undefined`: none. */
export async function findAccount(
	connection: AcmeConnection,
	key: AccountKey,
	signal?: AbortSignal,
): Promise<Account | undefined> {
	const {newAccount} = await connection.directory();
	try {
		const {location, body} = await connection.post(
			newAccount,
			{onlyReturnExisting: true},
			{key},
			{what: 'did not look the account up', signal},
		);
		return accountFrom(connection, key, location, body);
	} catch (error) {
		if (error instanceof AcmeError && error.type === 'accountDoesNotExist') return undefined;
		throw error;
	}
}

/** Change the mail address; without one, the account has none from then on. */
export async function updateAccount(
	connection: AcmeConnection,
	account: Account,
	{email, signal}: {email: string | undefined; signal?: AbortSignal},
): Promise<Account> {
	const payload = {contact: email === undefined ? [] : [`mailto:${email}`]};
	const what = 'refused to change the account';
	const {body} = await connection.post(account.accountUrl, payload, account, {what, signal});
	return {...account, resource: body as AccountResource};
}

/** No request with the key is taken after this, and nothing brings the account back (RFC 8555 section 7.3.6). */
export async function deactivateAccount(
	connection: AcmeConnection,
	account: Account,
	signal?: AbortSignal,
): Promise<void> {
	const what = 'refused to deactivate the account';
	await connection.post(account.accountUrl, {status: 'deactivated'}, account, {what, signal});
}

/**
 * Give the account a new key (RFC 8555 section 7.3.5). Keep the old one until this resolves: it is checked that the new
 * key works, since a server has answered yes and changed nothing.
 *
 * @throws {AcmeError} where the server refuses, or the account still has its old key.
 */
export async function changeAccountKey(
	connection: AcmeConnection,
	account: Account,
	newKey: AccountKey,
	signal?: AbortSignal,
): Promise<Account> {
	const {keyChange} = await connection.directory();
	if (keyChange === undefined) {
		throw new AcmeError({
			code: 'acme-not-offered',
			what: `${connection.place} offers no change of an account's key`,
			hint: 'Register a new account',
		});
	}
	const {accountUrl, key} = account;
	const inner = newKey.sign(
		{jwk: newKey.jwk, url: keyChange},
		JSON.stringify({account: accountUrl, oldKey: key.jwk}),
	);
	await connection.post(keyChange, inner, account, {what: 'refused the new key of the account', signal});
	const changed = await findAccount(connection, newKey, signal);
	if (changed?.accountUrl !== accountUrl) {
		throw new AcmeError({
			code: 'acme-key-change-failed',
			what: `${connection.place} said that it took the new key, but ${changed === undefined ? 'does not know it' : 'it belongs to another account'}`,
			hint: 'The account keeps its old key; try again with a key that was never used',
		});
	}
	return changed;
}

function accountFrom(
	{place}: AcmeConnection,
	key: AccountKey,
	accountUrl: string | undefined,
	body: unknown,
): Account {
	const resource = body as AccountResource | undefined;
	if (accountUrl === undefined || !URL.canParse(accountUrl)) {
		throw new AcmeError({
			code: 'acme-answer-unusable',
			what: `${place} did not say where the account is`,
			hint: 'Ask whoever runs the authority',
		});
	}
	if (resource?.status !== undefined && resource.status !== 'valid') {
		throw new AcmeError(
			{
				code: 'acme-account-unusable',
				what: `The account ${accountUrl} is ${resource.status} at ${place}`,
				hint: 'Register a new one with a new key',
			},
			{type: 'unauthorized'},
		);
	}
	return {key, accountUrl, resource: resource ?? {status: 'valid'}};
}
