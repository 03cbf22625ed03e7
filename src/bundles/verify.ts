/** Looks a bundle over: does it hold what its manifest says, and can all of it be used. */
import {createHash, type X509Certificate} from 'node:crypto';
import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {diagnostic} from '../diagnostics/diagnostic.ts';
import {GatepassError} from '../errors.ts';
import {withoutDuplicates} from '../x509/certificates.ts';
import {readBoundedSync} from '../x509/files.ts';
import {rfc2253Subject} from '../x509/names.ts';
import type {Bundle} from './bundle.ts';
import {readHashed, readTogether} from './contents.ts';
import {judge, orphaned} from './evaluate.ts';
import {type BundleFault, type Fail, namesIn, rebuild} from './fault.ts';
import {type Manifest, readManifest} from './manifest.ts';
import {readPreset} from './preset.ts';

/** How strict to be. */
export interface VerifySettings {
	/** Fail so many days before a certificate ends. Default: 0, with a warning 30 days before. */
	readonly days?: number | undefined;
	/** Milliseconds since 1970. Default: the present. */
	readonly now?: number;
}

/** What was found out. */
export interface Verification {
	readonly certificates: number;
	/** Of the certificate that ends first, in milliseconds since 1970; absent where there is none. */
	readonly firstEnd?: number;
	readonly faults: readonly BundleFault[];
}

/** Check all that can be checked of a bundle; what is wrong is told, not thrown. */
export function verifyBundle(
	bundle: Bundle,
	{days = 0, now = Date.now()}: VerifySettings = {},
): Verification {
	const faults: BundleFault[] = [];
	const fail: Fail = (subject, what, hint, code = 'bundle-damaged') => {
		faults.push({...diagnostic({code, what, hint}), subject});
	};
	const attempt = <Result>(subject: string, work: () => Result): Result | undefined => {
		try {
			return work();
		} catch (error) {
			if (!(error instanceof GatepassError)) throw error;
			for (const found of error.diagnostics) faults.push({...found, subject});
			return undefined;
		}
	};
	attempt(bundle.presetFile, () => readPreset(bundle));
	const manifest = attempt(bundle.manifestFile, () => readManifest(bundle));
	const together = attempt(bundle.file, () => readTogether(bundle.file, fail)) ?? [];
	const hashed = readHashed(bundle, attempt, fail);
	const certificates = withoutDuplicates([...together, ...hashed.values()]);
	if (manifest !== undefined) {
		compareCertificates(manifest, {together, hashed}, bundle, fail);
		comparePolicies(manifest, bundle, fail);
	}
	for (const certificate of certificates) {
		faults.push(...judge(certificate, days, now), ...orphaned(certificate, certificates));
	}
	const ends = certificates.map(({validToDate}) => validToDate.getTime());
	return {
		certificates: certificates.length,
		...(ends.length > 0 && {firstEnd: Math.min(...ends)}),
		faults,
	};
}

/** The manifest, the PEM file and the folder each have to hold the same certificates. */
function compareCertificates(
	manifest: Manifest,
	found: {together: readonly X509Certificate[]; hashed: ReadonlyMap<string, X509Certificate>},
	bundle: Bundle,
	fail: Fail,
): void {
	const listed = new Set<string>();
	const together = new Set(found.together.map(sha256Of));
	const byFile = new Map([...found.hashed].map(([name, certificate]) => [name, sha256Of(certificate)]));
	for (const {sha256, subject, file, notBefore, notAfter} of manifest.certificates) {
		if (listed.has(sha256)) fail(subject, 'the manifest lists it twice', rebuild);
		listed.add(sha256);
		if (!together.has(sha256)) fail(subject, `the manifest lists it, and ${bundle.file} lacks it`, rebuild);
		if (byFile.get(file) !== sha256) {
			fail(
				subject,
				`the manifest lists it as ${file}, and that holds ${byFile.has(file) ? 'another' : 'none'}`,
				rebuild,
			);
		}
		const certificate = found.hashed.get(file);
		if (certificate === undefined || sha256Of(certificate) !== sha256) continue;
		const isRight =
			rfc2253Subject(certificate) === subject &&
			certificate.validFromDate.toISOString() === notBefore &&
			certificate.validToDate.toISOString() === notAfter;
		if (!isRight)
			fail(subject, 'the manifest gives another subject or validity than the certificate', rebuild);
	}
	for (const certificate of withoutDuplicates([...found.together, ...found.hashed.values()])) {
		if (!listed.has(sha256Of(certificate))) {
			fail(rfc2253Subject(certificate), 'it is in the bundle, and not in the manifest', rebuild);
		}
	}
}

function comparePolicies({policies}: Manifest, {folder}: Bundle, fail: Fail): void {
	const names = namesIn(folder).filter(name => !/\.\d+$/.test(name));
	for (const name of new Set([...names, ...Object.keys(policies)])) {
		const file = join(folder, name);
		if (policies[name] === undefined) fail(file, 'the manifest does not list it', rebuild);
		else if (!existsSync(file)) fail(file, 'the manifest lists it, and it is not there', rebuild);
		else if (hashOf(readBoundedSync(file)) !== policies[name]) {
			fail(file, 'it is not what the manifest says', rebuild);
		}
	}
}

function sha256Of({raw}: X509Certificate): string {
	return hashOf(raw);
}

function hashOf(bytes: Buffer): string {
	return createHash('sha256').update(bytes).digest('hex');
}
