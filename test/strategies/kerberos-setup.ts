/** A realm, Apache with mod_auth_gssapi, and gatepasses for them: what the tests of `kerberos` have in common. */
import {spawnSync} from 'node:child_process';
import {setTimeout as pause} from 'node:timers/promises';
import {afterAll, afterEach, beforeAll} from 'vitest';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import {type ApacheNegotiate, startApacheNegotiate} from '../servers/apache-negotiate.ts';
import {findProgram} from '../servers/availability.ts';
import {type Kdc, startKdc} from '../servers/kdc.ts';

/** The GSS-API libraries that the tests run on. */
export const libraries = ['mit', 'heimdal'] as const;
export type Library = (typeof libraries)[number];

type Options = Record<string, unknown>;

export interface Realm {
	readonly kdc: Kdc;
	readonly server: ApacheNegotiate;
	/** A URL of the server. */
	url(scheme: 'http' | 'https', path: string, host?: string): string;
	/** A gatepass with a rule for everything, or for each origin that `rules` names; closed after the test. */
	/** @param allowInsecure whether what goes to this machine by plain http may take another way than directly. */
	gatepassWith(
		options: Options,
		rules?: Readonly<Record<string, Options>>,
		allowInsecure?: boolean,
	): Promise<Gatepass>;
}

/** Start them before the tests of the suite, and end them after. KRB5_CONFIG is the one thing of the process's own. */
export function useRealm(): Realm {
	const open: Gatepass[] = [];
	const realm = {} as {kdc: Kdc; server: ApacheNegotiate};
	const configurationBefore = process.env.KRB5_CONFIG;
	beforeAll(async () => {
		realm.kdc = await startKdc();
		realm.server = await startApacheNegotiate(realm.kdc);
		process.env.KRB5_CONFIG = realm.kdc.configuration;
	});
	// Heimdal reaches no KDC once the process has 1024 descriptors open, and each gatepass has some ten.
	afterEach(async () => {
		await Promise.all(open.splice(0).map(gatepass => gatepass.close()));
	});
	afterAll(async () => {
		if (configurationBefore === undefined) delete process.env.KRB5_CONFIG;
		else process.env.KRB5_CONFIG = configurationBefore;
		await realm.server?.close();
		await realm.kdc?.close();
	});
	return Object.assign(realm, {
		url(scheme: 'http' | 'https', path: string, host = 'localhost') {
			return `${scheme}://${host}:${realm.server.ports[scheme]}${path}`;
		},
		async gatepassWith(
			options: Options,
			rules: Readonly<Record<string, Options>> = {},
			allowInsecure = false,
		) {
			const all = {
				'http://localhost:*': options,
				'http://127.0.0.1:*': options,
				'localhost:*': options,
				'127.0.0.1:*': options,
				...rules,
			};
			const gatepass = await createGatepass({
				config: {
					cache: {url: 'memory:'},
					trust: [{match: ['localhost:*', '127.0.0.1:*'], ca: realm.server.ca, only: true}],
					hostRules: Object.entries(all).map(([match, own]) => ({
						match,
						strategy: 'kerberos',
						options: own,
						...(match.startsWith('http:') && {allowInsecure}),
					})),
				},
			});
			open.push(gatepass);
			return gatepass;
		},
	});
}

/** Wait until the ticket in a cache has expired, by the reckoning of `klist -s`. */
export async function untilExpired(cache: string): Promise<void> {
	const isValid = (): boolean =>
		spawnSync(findProgram('klist') as string, ['-s', '-c', cache], {stdio: 'ignore'}).status === 0;
	while (isValid()) await pause(100);
	// It looks at whole seconds.
	await pause(1000);
}

/** What a promise rejects with. */
export async function failureOf(promise: PromiseLike<unknown>): Promise<Error> {
	const outcome = await Promise.resolve(promise).then(
		() => undefined,
		(error: Error) => error,
	);
	if (outcome === undefined) throw new Error('It did not fail');
	return outcome;
}
