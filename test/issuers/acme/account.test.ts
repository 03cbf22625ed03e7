/** Accounts at pebble: terms, bindings, new keys, the end of one; and keys of every kind. */
import {createHmac, createPublicKey, generateKeyPairSync, verify} from 'node:crypto';
import {describe, expect, test} from 'vitest';
import {AcmeError} from '../../../src/errors.ts';
import {
	changeAccountKey,
	deactivateAccount,
	findAccount,
	registerAccount,
	updateAccount,
} from '../../../src/issuers/acme/account.ts';
import {AccountKey, bindExternalAccount, publicJwk, thumbprint} from '../../../src/issuers/acme/jws.ts';
import {describeWith} from '../../servers/availability.ts';
import {boundAccount, pebble} from '../../servers/pebble.ts';
import {accountAt, connectTo, pebbleFor} from './stage.ts';

const agree = {termsOfService: () => true};

describeWith(pebble, 'pebble', () => {
	test('registers once the terms are agreed to, and finds the account again by its key', async () => {
		const connection = connectTo(await pebbleFor());
		const key = AccountKey.generate();
		const asked: string[] = [];
		const refusing = {termsOfService: (url: string) => asked.push(url) === 0};
		await expect(registerAccount(connection, key, refusing)).rejects.toThrow(
			/terms of service of localhost:\d+ were not agreed to\. Read data:text/,
		);
		expect(await findAccount(connection, key)).toBeUndefined();
		const account = await registerAccount(connection, key, {...agree, email: 'me@example.org'});
		expect(account.resource.contact).toEqual(['mailto:me@example.org']);
		expect(asked).toHaveLength(1);
		const again = await registerAccount(connection, AccountKey.fromPem(key.toPem()), refusing);
		expect(again.accountUrl).toBe(account.accountUrl);
		// Nobody was asked again.
		expect(asked).toHaveLength(1);
	});

	test('a mail address that the authority does not take is an error that says so', async () => {
		const connection = connectTo(await pebbleFor());
		const failure = await registerAccount(connection, AccountKey.generate(), {
			...agree,
			email: 'not an address',
		}).catch(error => error);
		expect(failure).toBeInstanceOf(AcmeError);
		expect(failure.message).toMatch(
			/refused the account \(\w*[cC]ontact\w*\)|refused the account \(malformed\)/,
		);
	});

	test('an account is bound to one that the authority knows', async () => {
		const connection = connectTo(await pebbleFor({demandsBinding: true}));
		const key = AccountKey.generate();
		await expect(registerAccount(connection, key, agree)).rejects.toThrow(
			/takes accounts only with an external account binding/,
		);
		const wrong = {...boundAccount, hmacKey: Buffer.alloc(48).toString('base64url')};
		await expect(
			registerAccount(connection, key, {...agree, externalAccountBinding: wrong}),
		).rejects.toBeInstanceOf(AcmeError);
		expect(await findAccount(connection, key)).toBeUndefined();
		const account = await registerAccount(connection, key, {...agree, externalAccountBinding: boundAccount});
		expect(account.resource.status).toBe('valid');
	});

	test('the mail address is changed', async () => {
		const connection = connectTo(await pebbleFor());
		const account = await accountAt(connection);
		const changed = await updateAccount(connection, account, {email: 'other@example.org'});
		expect(changed.resource.contact).toEqual(['mailto:other@example.org']);
	});

	test('the key is changed, and the old one is worth nothing', async () => {
		const connection = connectTo(await pebbleFor());
		const account = await accountAt(connection);
		const newKey = AccountKey.generate();
		const changed = await changeAccountKey(connection, account, newKey);
		expect(changed).toMatchObject({accountUrl: account.accountUrl, key: newKey});
		await expect(updateAccount(connection, account, {email: 'x@example.org'})).rejects.toBeInstanceOf(
			AcmeError,
		);
		await updateAccount(connection, changed, {email: 'x@example.org'});
	});

	test('a key that another account has is refused, and the account keeps its own', async () => {
		const connection = connectTo(await pebbleFor());
		const [account, other] = [await accountAt(connection), await accountAt(connection)];
		await expect(changeAccountKey(connection, account, other.key)).rejects.toBeInstanceOf(AcmeError);
		await updateAccount(connection, account, {email: 'still@example.org'});
	});

	test('after its end, an account is refused', async () => {
		const connection = connectTo(await pebbleFor());
		const account = await accountAt(connection);
		await deactivateAccount(connection, account);
		await expect(updateAccount(connection, account, {email: 'x@example.org'})).rejects.toBeInstanceOf(
			AcmeError,
		);
	});
});

describe('keys', () => {
	test.each([
		['P-256', 'ES256', 'sha256'],
		['P-384', 'ES384', 'sha384'],
		['P-521', 'ES512', 'sha512'],
	])('on %s sign with %s', (namedCurve, alg, hash) => {
		const {privateKey} = generateKeyPairSync('ec', {namedCurve});
		const key = new AccountKey(privateKey);
		const signed = key.sign({nonce: 'n', url: 'u'}, '{}');
		expect(JSON.parse(Buffer.from(signed.protected, 'base64url').toString())).toEqual({
			alg,
			nonce: 'n',
			url: 'u',
		});
		const input = Buffer.from(`${signed.protected}.${signed.payload}`);
		const signature = Buffer.from(signed.signature, 'base64url');
		const publicKey = createPublicKey({key: key.jwk as never, format: 'jwk'});
		expect(verify(hash, input, {key: publicKey, dsaEncoding: 'ieee-p1363'}, signature)).toBe(true);
	});

	test('the thumbprint is that of RFC 7638 section 3.1', () => {
		const n =
			'0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw';
		const jwk = publicJwk(createPublicKey({key: {kty: 'RSA', n, e: 'AQAB'}, format: 'jwk'}));
		expect(thumbprint(jwk)).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs');
	});

	test('of a kind that no authority takes are refused', () => {
		const {privateKey} = generateKeyPairSync('ed25519');
		expect(() => new AccountKey(privateKey)).toThrow(/P-256, P-384 or P-521, or an RSA key/);
	});

	test.each([
		['HS256', 'sha256'],
		['HS384', 'sha384'],
		['HS512', 'sha512'],
	] as const)('a binding by %s', (algorithm, hash) => {
		const key = AccountKey.generate();
		const secret = Buffer.from('a key that the authority made');
		// As people copy it: padded, in the other alphabet, with a line break.
		const hmacKey = `${secret.toString('base64')}\n`;
		const signed = bindExternalAccount({kid: 'k', hmacKey, algorithm}, 'https://a/new', key);
		const mac = createHmac(hash, secret).update(`${signed.protected}.${signed.payload}`).digest('base64url');
		expect(signed.signature).toBe(mac);
		expect(JSON.parse(Buffer.from(signed.payload, 'base64url').toString())).toEqual(key.jwk);
	});

	test.each(['', 'not base64!', '"quoted"', 'abcde'])("a binding by the key '%s' is refused", hmacKey => {
		const key = AccountKey.generate();
		expect(() => bindExternalAccount({kid: 'k', hmacKey}, 'https://a/new', key)).toThrow(/is no base64/);
	});
});
