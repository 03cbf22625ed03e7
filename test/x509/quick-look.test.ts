/** A quick look sees what OpenSSL sees, and nothing where it cannot be sure. */
import {X509Certificate} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {rootCertificates} from 'node:tls';
import {expect, test} from 'vitest';
import {createTestAuthority} from '../../src/testing/authority.ts';
import {quickLook} from '../../src/x509/quick-look.ts';

test('of every CA certificate that Node brings along', () => {
	let unsure = 0;
	for (const pem of rootCertificates) {
		const {serialNumber, validFromDate, validToDate} = new X509Certificate(pem);
		const seen = quickLook(pem);
		if (seen === undefined) unsure += 1;
		else expect(seen).toEqual({serialNumber, validFromDate, validToDate});
	}
	expect(unsure).toBeLessThan(rootCertificates.length / 20);
});

test('of the first certificate in a file, and of nothing that is broken', async () => {
	const authority = await createTestAuthority();
	try {
		const {certificate} = await authority.issue('one', {subject: 'CN=one'});
		const pem = readFileSync(certificate, 'utf8');
		const text = `some words\n${pem}${readFileSync(authority.ca, 'utf8')}`;
		expect(quickLook(text)?.serialNumber).toBe(new X509Certificate(pem).serialNumber);
		for (let end = 0; end < pem.length; end += 40) {
			const cut = `${pem.slice(0, end)}\n-----END CERTIFICATE-----\n`;
			const seen = quickLook(cut);
			if (seen !== undefined) expect(seen.validToDate.getTime()).toBeGreaterThan(0);
		}
		expect(quickLook('')).toBeUndefined();
		expect(quickLook('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----')).toBeUndefined();
	} finally {
		await authority.close();
	}
});
