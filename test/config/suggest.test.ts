/** The word that a person most likely meant. */
import {expect, test} from 'vitest';
import {closest} from '../../src/config/suggest.ts';

const words = ['hostRules', 'trust', 'cache', 'grid-certificate', 'none', 'url'];

test.each([
	['hostrules', 'hostRules'],
	['hostRule', 'hostRules'],
	['hsotRules', 'hostRules'],
	['host_rules', 'hostRules'],
	['trsut', 'trust'],
	['grid-certifcate', 'grid-certificate'],
	['gridcertificate', 'grid-certificate'],
	['nnoe', 'none'],
	['uri', 'url'],
	['kerberos', undefined],
	['', undefined],
	['xyz', undefined],
])('%j is meant for %s', (written, meant) => {
	expect(closest(written, words)).toBe(meant);
});

test('the closest of several, and nothing of none', () => {
	expect(closest('clientid', ['clientSecret', 'clientIds', 'clientId'])).toBe('clientId');
	expect(closest('x', [])).toBeUndefined();
});
