/** What may stand under `ca`, and the mistakes in it. */
import 'reflect-metadata';
import {
	copyFileSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {getCACertificates} from 'node:tls';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import type {TrustEntry} from '../../src/config/configuration.ts';
import {loadConfiguration} from '../../src/config/load.ts';
import {ConfigurationError} from '../../src/errors.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/index.ts';
import {createTrustSet} from '../../src/trust/trust-stores.ts';

let authority: TestAuthority;
let folder: string;

beforeAll(async () => {
	authority = await createTestAuthority();
});
afterAll(() => authority.close());
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'gatepass-places-'));
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

function makeCaFolder(path: string): string {
	mkdirSync(path, {recursive: true});
	copyFileSync(authority.ca, join(path, '12345678.0'));
	return path;
}

/** The entries of a configuration that consists of this YAML under `trust`. */
async function load(trust: string, env: Record<string, string> = {}): Promise<readonly TrustEntry[]> {
	const file = join(folder, 'gatepass.config.yaml');
	writeFileSync(file, `trust:\n${trust}`);
	const {configuration} = await loadConfiguration({
		config: file,
		cwd: folder,
		env: {HOME: join(folder, 'home'), ...env},
		strategies: [],
		builtIn: {},
	});
	return configuration.trust;
}

const filesOf = async (ca: string, env?: Record<string, string>): Promise<readonly string[]> =>
	(await load(`  - match: a.example.org\n    ca: ${ca}\n`, env))[0]?.files ?? [];

describe('a place', () => {
	test.each([
		['./cas', 'cas'],
		['cas', 'cas'],
		['~/cas', 'home/cas'],
		['${PLACE}/cas', 'elsewhere/cas'],
		['./system', 'system'],
	])('%s', async (written, place) => {
		const path = makeCaFolder(join(folder, place));
		expect(await filesOf(`'${written}'`, {PLACE: join(folder, 'elsewhere')})).toEqual([path]);
	});

	test('a list of several kinds', async () => {
		makeCaFolder(join(folder, 'cas'));
		copyFileSync(authority.ca, join(folder, 'ca.pem'));
		const files = await filesOf('[./ca.pem, ./cas, system, bundle:cern]');
		expect(files).toEqual([
			join(folder, 'ca.pem'),
			join(folder, 'cas'),
			'system',
			expect.stringMatching(/bundles.cern/),
		]);
	});

	test('system stands for the store of the operating system', async () => {
		const [entry] = await load('  - match: a.example.org\n    ca: system\n    only: true\n');
		const certificates = createTrustSet(entry as TrustEntry).certificates();
		expect(certificates).toEqual([...new Set(getCACertificates('system'))]);
	});

	test('grid: X509_CERT_DIR, then the folder in the home folder', async () => {
		const named = makeCaFolder(join(folder, 'named'));
		const home = makeCaFolder(join(folder, 'home/.globus/certificates'));
		expect(await filesOf('grid', {X509_CERT_DIR: named})).toEqual([named]);
		expect(await filesOf('grid')).toEqual([home]);
	});

	test('grid: a folder of the user that is empty is passed over', async () => {
		mkdirSync(join(folder, 'home/.globus/certificates'), {recursive: true});
		const found = await filesOf('grid').catch((error: Error) => error.message);
		if (existsSync('/etc/grid-security/certificates')) {
			expect(found).toEqual(['/etc/grid-security/certificates']);
		} else {
			expect(found).toMatch(
				/there are no CA certificates of the grid: X509_CERT_DIR is not set, and neither/,
			);
		}
	});

	test('a bundle is a CA folder', async () => {
		const [place = ''] = await filesOf('bundle:igtf');
		expect(readdirSync(place)).toContainEqual(expect.stringMatching(/^[\da-f]{8}\.0$/));
		const [entry] = await load('  - match: a.example.org\n    ca: bundle:cern\n    only: true\n');
		const certificates = createTrustSet(entry as TrustEntry).certificates();
		expect(certificates.length).toBeGreaterThan(1);
		expect(createTrustSet(entry as TrustEntry).checksChains).toBe(true);
	});
});

describe('a mistake is told with its place', () => {
	async function mistakeIn(ca: string, env?: Record<string, string>, more = ''): Promise<string> {
		try {
			await load(`  - match: a.example.org\n    ca: ${ca}\n${more}`, env);
		} catch (error) {
			expect(error).toBeInstanceOf(ConfigurationError);
			return (error as Error).message;
		}
		throw new Error('There was none');
	}

	test('a folder without CA certificates', async () => {
		mkdirSync(join(folder, 'empty'));
		writeFileSync(join(folder, 'empty', 'ca.pem'), readFileSync(authority.ca));
		const message = await mistakeIn('./empty');
		expect(message).toMatch(
			/gatepass\.config\.yaml:3: trust\[0\]\.ca: the CA file .*empty is a folder without CA certif/,
		);
		expect(message).toMatch(/openssl rehash/);
	});

	test('nothing there, in a list', async () => {
		expect(await mistakeIn('[system, ./none.pem]')).toMatch(
			/:3: trust\[0\]\.ca\[1\]: the CA file .*none\.pem does not exist/,
		);
	});

	test('a bundle that there is not', async () => {
		expect(await mistakeIn('bundle:crn')).toMatch(/there is no bundle 'crn'. Name one of cern, igtf/);
		expect(await mistakeIn('bundle:../cern')).toMatch(/there is no bundle '\.\.\/cern'/);
	});

	test('X509_CERT_DIR lacks what it should hold: that is no reason to look elsewhere', async () => {
		makeCaFolder(join(folder, 'home/.globus/certificates'));
		const message = await mistakeIn('grid', {X509_CERT_DIR: join(folder, 'none')});
		expect(message).toMatch(/none does not exist \(X509_CERT_DIR\)\. Set X509_CERT_DIR/);
	});

	test("'crl: require' where no revocation list can be", async () => {
		copyFileSync(authority.ca, join(folder, 'ca.pem'));
		const message = await mistakeIn('./ca.pem', {}, '    crl: require\n');
		expect(message).toMatch(/:4: trust\[0\]\.crl: no revocation list is ever found.*Name a hashed CA folder/);
	});

	test('another word for crl', async () => {
		copyFileSync(authority.ca, join(folder, 'ca.pem'));
		expect(await mistakeIn('./ca.pem', {}, '    crl: strict\n')).toMatch(/:4: trust\[0\]\.crl: /);
	});
});
