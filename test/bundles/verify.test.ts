/** What is wrong with a bundle is found, each thing once. */
import {mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {buildBundle} from '../../src/bundles/build.ts';
import {type Bundle, bundleNames, findBundle, isFolderName} from '../../src/bundles/bundle.ts';
import type {Manifest} from '../../src/bundles/manifest.ts';
import {readPreset} from '../../src/bundles/preset.ts';
import {verifyBundle} from '../../src/bundles/verify.ts';
import {makeCertificate} from './certificates.ts';

let folder: string;
let bundle: Bundle;
let manifest: Manifest;
const day = 86_400_000;

/** A bundle with a root and an intermediate; the root has a signing policy. */
beforeEach(async () => {
	folder = mkdtempSync(join(tmpdir(), 'gatepass-verify-'));
	const from = join(folder, 'from');
	mkdirSync(from);
	const root = await makeCertificate('CN=Root', {endsIn: 500});
	const intermediate = await makeCertificate('CN=Intermediate', {endsIn: 200, issuer: root});
	writeFileSync(join(from, 'root.pem'), root.pem);
	writeFileSync(join(from, 'root.signing_policy'), 'policy');
	writeFileSync(join(from, 'intermediate.pem'), intermediate.pem);
	({bundle, manifest} = await buildBundle({from, to: join(folder, 'lab'), licence: 'CC0-1.0'}));
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

function faults(settings = {}): string[] {
	const found = verifyBundle(bundle, settings).faults;
	return found.map(
		({severity, subject, what}) => `${severity} ${subject.replace(`${bundle.root}/`, '')}: ${what}`,
	);
}

function entry(name: string): Manifest['certificates'][number] {
	return manifest.certificates.find(
		({subject}) => subject === `CN=${name}`,
	) as Manifest['certificates'][number];
}

const placeOf = (name: string): string => join(bundle.folder, entry(name).file);

function writeManifest(change: (manifest: Manifest) => void): void {
	const changed = structuredClone(manifest);
	change(changed);
	writeFileSync(bundle.manifestFile, JSON.stringify(changed));
}

test('a bundle as it was built has no faults', () => {
	expect(verifyBundle(bundle)).toEqual({
		certificates: 2,
		firstEnd: Date.parse(entry('Intermediate').notAfter),
		faults: [],
	});
});

test('the end of a certificate: a warning 30 days ahead, a failure as many days ahead as is asked for', () => {
	const end = Date.parse(entry('Intermediate').notAfter);
	const date = new Date(end).toISOString().slice(0, 10);
	const at = (days: number, settings = {}) => faults({now: end - days * day, ...settings});
	expect(at(30)).toEqual([]);
	expect(at(29.9)).toEqual([`warning CN=Intermediate: it expires on ${date}, in 29 days`]);
	expect(at(90, {days: 90})).toEqual([]);
	const told = `error CN=Intermediate: it expires on ${date}, in 89 days (90 are asked for)`;
	expect(at(89.9, {days: 90})).toEqual([told]);
	expect(at(0.1)).toEqual([`warning CN=Intermediate: it expires on ${date}, in 0 days`]);
	expect(at(-0.001)).toEqual([`error CN=Intermediate: it expired on ${date}`]);
	expect(at(4000)).toEqual(
		['Intermediate', 'Root'].map(name => {
			return `error CN=${name}: it begins on ${entry(name).notBefore.slice(0, 10)}`;
		}),
	);
});

describe('a certificate that does not belong there', () => {
	test('a leaf, in the PEM file', async () => {
		const leaf = await makeCertificate('CN=Leaf', {ca: false});
		writeFileSync(bundle.file, readFileSync(bundle.file, 'utf8') + leaf.pem);
		expect(faults()).toEqual([
			'error CN=Leaf: it is in the bundle, and not in the manifest',
			'error CN=Leaf: it is a leaf, not a CA certificate',
		]);
	});

	test('a duplicate, in the PEM file, in the folder, in the manifest', () => {
		const text = readFileSync(bundle.file, 'utf8');
		writeFileSync(bundle.file, text + text);
		expect(faults()).toEqual(
			['Intermediate', 'Root'].map(name =>
				expect.stringMatching(`^error CN=${name}: it is 2 times in .*ca\\.pem`),
			),
		);
		writeFileSync(bundle.file, text);
		const twin = entry('Root').file.replace('.0', '.1');
		writeFileSync(join(bundle.folder, twin), readFileSync(placeOf('Root')));
		expect(faults()).toEqual([`error CN=Root: it is in both ${entry('Root').file} and ${twin}`]);
		rmSync(join(bundle.folder, twin));
		writeManifest(({certificates}) => certificates.push(entry('Root')));
		expect(faults()).toEqual(['error CN=Root: the manifest lists it twice']);
	});

	test('a private key', () => {
		const key = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n';
		writeFileSync(bundle.file, readFileSync(bundle.file, 'utf8') + key);
		expect(faults()).toEqual(['error ca.pem: it holds a private key']);
	});

	test('an intermediate whose issuer is not there', async () => {
		rmSync(placeOf('Root'));
		rmSync(join(bundle.folder, Object.keys(manifest.policies)[0] as string));
		writeFileSync(bundle.file, readFileSync(placeOf('Intermediate')));
		writeManifest(changed => {
			changed.certificates = [entry('Intermediate')];
			changed.policies = {};
		});
		expect(faults()).toEqual(['warning CN=Intermediate: its issuer CN=Root is not in the bundle']);
	});
});

describe('a manifest that does not match', () => {
	test('it lacks a certificate', () => {
		writeManifest(changed => {
			changed.certificates = [entry('Intermediate')];
		});
		expect(faults()).toEqual(['error CN=Root: it is in the bundle, and not in the manifest']);
	});

	test('it lists one that the PEM file or the folder lacks', () => {
		const file = readFileSync(bundle.file);
		writeFileSync(bundle.file, readFileSync(placeOf('Root')));
		expect(faults()).toEqual([`error CN=Intermediate: the manifest lists it, and ${bundle.file} lacks it`]);
		writeFileSync(bundle.file, file);
		renameSync(placeOf('Root'), join(bundle.folder, '00000000.0'));
		const {file: name} = entry('Root');
		expect(faults()).toEqual([
			`error certificates/00000000.0: its name should begin with ${name.split('.')[0]}, the hash of its subject`,
			`error CN=Root: the manifest lists it as ${name}, and that holds none`,
		]);
	});

	test('a file holds another certificate of the same name', async () => {
		writeFileSync(placeOf('Root'), (await makeCertificate('CN=Root')).pem);
		expect(faults()).toEqual([
			`error CN=Root: the manifest lists it as ${entry('Root').file}, and that holds another`,
			'error CN=Root: it is in the bundle, and not in the manifest',
		]);
	});

	test.each(['subject', 'notBefore', 'notAfter'] as const)('it tells another %s', key => {
		writeManifest(({certificates}) => {
			for (const certificate of certificates) {
				certificate[key] = key === 'subject' ? 'CN=Somebody' : '2040-01-01T00:00:00.000Z';
			}
		});
		expect(faults()).toHaveLength(2);
		expect(faults().join()).toContain('the manifest gives another subject or validity than the certificate');
	});

	test('a policy that is changed, gone or new', () => {
		const [name = ''] = Object.keys(manifest.policies);
		writeFileSync(join(bundle.folder, name), 'another policy');
		writeFileSync(join(bundle.folder, 'aaaaaaaa.namespaces'), 'mine');
		expect(faults().sort()).toEqual(
			[
				`error certificates/${name}: it is not what the manifest says`,
				'error certificates/aaaaaaaa.namespaces: the manifest does not list it',
			].sort(),
		);
		rmSync(join(bundle.folder, 'aaaaaaaa.namespaces'));
		rmSync(join(bundle.folder, name));
		expect(faults()).toEqual([`error certificates/${name}: the manifest lists it, and it is not there`]);
	});
});

test.each([
	['manifest.json', '{', 'is no JSON'],
	['manifest.json', '{"name": 5}', 'is no manifest of a bundle \\(at name\\)'],
	['preset.yaml', 'servers: 5', 'is no preset of a bundle'],
	['preset.yaml', 'servers: [', 'is no YAML'],
	['ca.pem', '', 'holds no certificate'],
	['ca.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n', 'damaged or cut off'],
])('a %s with %j is told, not thrown', (name, text, expected) => {
	writeFileSync(join(bundle.root, name), text);
	expect(faults().join('\n')).toMatch(new RegExp(`error ${name}: .*${expected}`));
});

test('files that are missing are told', () => {
	rmSync(bundle.folder, {recursive: true});
	expect(faults()).toEqual(
		expect.arrayContaining([
			`error CN=Root: the manifest lists it as ${entry('Root').file}, and that holds none`,
		]),
	);
	rmSync(bundle.root, {recursive: true});
	expect(faults().map(fault => fault.split(':')[0])).toEqual([
		`error ${bundle.manifestFile}`.replace(`${bundle.root}/`, ''),
		'error ca.pem',
	]);
});

describe('finding bundles', () => {
	test('by name, by folder, and not outside of the folder of bundles', () => {
		expect(bundleNames()).toEqual(['cern', 'igtf']);
		expect(findBundle('cern')).toMatchObject({
			name: 'cern',
			id: 'cern',
			file: expect.stringMatching(/bundles\/cern\/ca\.pem$/),
		});
		expect(findBundle('./lab', folder)).toEqual(bundle);
		expect(findBundle('~/lab', '/', {HOME: folder})).toEqual(bundle);
		expect(findBundle(bundle.root)).toMatchObject({name: 'lab', id: bundle.root});
		for (const name of ['lab', '..', '../src', '', 'CERN', 'cern/certificates', './from']) {
			expect(findBundle(name, folder)).toBeUndefined();
		}
		expect(['cern', './cern', '~/cern', '/cern', 'a/b', '.'].map(isFolderName)).toEqual([
			false,
			true,
			true,
			true,
			true,
			true,
		]);
	});

	test.each(bundleNames())('%s, as gatepass brings it along, can be used, and says whose it is', name => {
		const brought = findBundle(name) as Bundle;
		expect(verifyBundle(brought).faults.filter(({severity}) => severity === 'error')).toEqual([]);
		expect(readPreset(brought).description).toMatch(/[a-z]/);
		const {certificates} = JSON.parse(readFileSync(brought.manifestFile, 'utf8')) as Manifest;
		for (const {licence, source} of certificates) {
			expect([licence, source.package]).toEqual(['CC-BY-3.0', 'igtf-policy-classic']);
		}
	});
});
