/** Warnings before a certificate ends: 30, 10 and 3 days, once each, and none for what never lives that long. */
import {mkdtempSync, rmSync} from 'node:fs';
import {copyFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest';
import {ExpiryWarnings} from '../../src/identities/expiry-warnings.ts';
import {IdentityStore} from '../../src/identities/identity-store.ts';
import {type EventPayloads, Events} from '../../src/observability/events.ts';
import type {Identity} from '../../src/strategy/services.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/index.ts';

const day = 86_400_000;

/** The days told of, in the order in which they are, when somebody looks so many days before the end. */
function told(lifetime: number, looks: readonly number[]): number[] {
	const days: number[] = [];
	const warnings = new ExpiryWarnings(
		new Events([(_, payload) => days.push((payload as EventPayloads['gatepass:certificate:expiring']).days)]),
	);
	const notAfter = Date.UTC(2026, 11, 31);
	const identity = identityWith({notBefore: notAfter - lifetime * day, notAfter});
	for (const left of looks) warnings.look(identity, notAfter - left * day);
	return days;
}

function identityWith(times: {notBefore: number; notAfter: number}, thumbprint = 'a'): Identity {
	const files = {certificate: 'cert.pem', key: 'key.pem'};
	return {
		subject: 'CN=alice',
		issuer: 'CN=ca',
		kind: undefined,
		thumbprint,
		...times,
		files,
		material: () => ({cert: '', key: ''}),
	};
}

describe('a certificate of a year', () => {
	test('is told of at each threshold, once', () => {
		expect(told(395, [31, 30.01])).toEqual([]);
		expect(told(395, [31, 30, 29, 20, 11])).toEqual([30]);
		expect(told(395, [31, 30, 29, 11, 10, 9, 4, 3, 2, 1, 0])).toEqual([30, 10, 3]);
	});

	test('is told of once where several thresholds have passed', () => {
		expect(told(395, [5, 4])).toEqual([10]);
		expect(told(395, [2, 1, 0.1])).toEqual([3]);
	});
});

test.each([
	['a day, as that of a proxy', 1, []],
	['8 days', 8, []],
	['9 days', 9, [3]],
	['30 days', 30, [10, 3]],
	['90 days less a second, as usual', 90 - 1 / 86_400, [30, 10, 3]],
	['47 days', 47, [10, 3]],
])('what lives for %s is told of in its last third only', (_, lifetime, days) => {
	expect(told(lifetime, [29, 9, 2, 0.1])).toEqual(days);
});

test('a renewed one is told of again', () => {
	const days: number[] = [];
	const warnings = new ExpiryWarnings(
		new Events([(_, payload) => days.push((payload as EventPayloads['gatepass:certificate:expiring']).days)]),
	);
	const times = {notBefore: 0, notAfter: 400 * day};
	warnings.look(identityWith(times), 395 * day);
	warnings.look(identityWith(times, 'b'), 395 * day);
	expect(days).toEqual([10, 10]);
});

describe('in use', () => {
	let authority: TestAuthority;
	let folder: string;
	beforeEach(async () => {
		authority = await createTestAuthority();
		folder = mkdtempSync(join(tmpdir(), 'gatepass-expiry-'));
	});
	afterEach(async () => {
		vi.useRealTimers();
		rmSync(folder, {recursive: true, force: true});
		await authority.close();
	});

	test('all rules that share a certificate are told of it once, whoever looks', async () => {
		const now = Date.now();
		const times = {notBefore: now - 365 * day, notAfter: now + 11 * day};
		const {certificate, key} = await authority.issue('alice', {subject: 'CN=alice', ...times});
		await copyFile(certificate, join(folder, 'usercert.pem'));
		await copyFile(key, join(folder, 'userkey.pem'));
		const heard: unknown[] = [];
		const events = new Events([(name, payload) => heard.push([name, payload])]);
		const store = new IdentityStore(folder, {}, {events});
		const sources = [{directory: '.'}, {certificate: 'usercert.pem', key: 'userkey.pem'}];
		const use = async (): Promise<void> => {
			for (const source of sources) await store.load(source);
		};
		await use();
		vi.useFakeTimers({toFake: ['Date'], now: now + 1.5 * day});
		await use();
		await use();
		const payload = {
			subject: 'CN=alice',
			file: join(folder, 'usercert.pem'),
			expiresAt: Math.floor(times.notAfter / 1000) * 1000,
		};
		expect(heard).toEqual([
			['gatepass:certificate:expiring', {...payload, days: 30}],
			['gatepass:certificate:expiring', {...payload, days: 10}],
		]);
	});
});
