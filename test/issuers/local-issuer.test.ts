/** The authority for users' own tests keeps the contract of a real one. */
import {X509Certificate} from 'node:crypto';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {createLocalAuthority, createTestAuthority, type TestAuthority} from '../../src/testing/index.ts';
import {makeRequest} from '../../src/x509/certificate-request.ts';
import {kindOf} from '../../src/x509/kind.ts';

let authority: TestAuthority;
beforeAll(async () => {
	authority = await createTestAuthority();
});
afterAll(() => authority?.close());

async function application(isRenewal = false) {
	const commonName = 'Robot: cmsprod';
	const {request} = await makeRequest({commonName}, {type: 'ecdsa', curve: 'secp256r1'});
	return {request, subject: `CN=${commonName}`, serviceAccount: 'cmsprod', isRenewal};
}

test('it issues what is handed in, once for each request, under the base that it was given', async () => {
	const local = createLocalAuthority(authority, {base: 'OU=Users,DC=example'});
	const handedIn = await application();
	const {reference = ''} = await local.request(handedIn);
	expect(local.applications.get(reference)).toBe(handedIn);
	expect(await local.poll(reference)).toEqual({state: 'issued'});
	const [one, same] = await Promise.all([local.collect(reference), local.collect(reference)]);
	expect(one).toEqual(same);
	const certificate = new X509Certificate(one);
	expect(certificate.subject).toBe('DC=example\nOU=Users\nCN=Robot: cmsprod');
	expect(kindOf(certificate)).toBe('robot');
	expect(await local.revoke(certificate.toString(), 'keyCompromise')).toEqual({});
	expect([...local.revoked]).toEqual([[certificate.serialNumber, 'keyCompromise']]);
	expect(await authority.revocationList([certificate.serialNumber])).toMatch(/^-----BEGIN X509 CRL-----/);
});

test('it waits for somebody to agree, where it is to', async () => {
	const local = createLocalAuthority(authority, {waitForApproval: true});
	const [{reference: first = ''}, {reference: second = ''}] = [
		await local.request(await application()),
		await local.request(await application(true)),
	];
	expect(await local.poll(first)).toEqual({state: 'waiting'});
	await expect(local.collect(first)).rejects.toThrow('waits for approval');
	local.approve(first, {subject: 'CN=Robot: other'});
	local.refuse(second, 'no such account');
	expect(await local.poll(first)).toEqual({state: 'issued'});
	expect(new X509Certificate(await local.collect(first)).subject).toBe('CN=Robot: other');
	expect(await local.poll(second)).toEqual({state: 'refused', detail: 'no such account'});
	await expect(local.poll('nothing')).rejects.toThrow('There is no request nothing');
});

test('a request whose signature is wrong is not signed', async () => {
	const {request} = await application();
	const bytes = Buffer.from(request.replace(/-----[^-]+-----|\n/g, ''), 'base64');
	bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
	const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
	await expect(authority.sign(forged)).rejects.toThrow(/signature/i);
});
