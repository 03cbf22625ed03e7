/** The manifest of a bundle: each certificate, where it came from, and under which licence it may be passed on. */
import {z} from 'zod';
import {GatepassError} from '../errors.ts';
import {readBoundedSync} from '../x509/files.ts';
import type {Bundle} from './bundle.ts';

const origin = z.strictObject({
	/** The package, such as Debian's. */
	package: z.string().optional(),
	version: z.string().optional(),
	/** The file in the folder that the bundle was built from. */
	file: z.string(),
	/** What a person said about it, where no package manager knows. */
	note: z.string().optional(),
});

const certificate = z.strictObject({
	/** In the hashed folder. */
	file: z.string(),
	/** As RFC 2253 writes it. */
	subject: z.string(),
	/** Of the certificate in DER, in hexadecimal digits. */
	sha256: z.string(),
	notBefore: z.iso.datetime(),
	notAfter: z.iso.datetime(),
	source: origin,
	/** By its SPDX identifier, where it has one. */
	licence: z.string(),
});

const manifestSchema = z.strictObject({
	name: z.string(),
	/** The day of the build, in UTC. */
	built: z.iso.date(),
	/** How many days ahead of its end a certificate was left out. */
	days: z.int().min(0),
	certificates: z.array(certificate),
	/** The other files of the hashed folder, with their SHA-256. */
	policies: z.record(z.string(), z.string()),
	/** What the folder had that is not in the bundle, and why. */
	leftOut: z.array(certificate.omit({file: true, licence: true}).extend({reason: z.string()})),
	/** Whom to name as the authors, by package. */
	copyright: z.record(z.string(), z.string()).optional(),
});

/** What `manifest.json` says. */
export type Manifest = z.output<typeof manifestSchema>;
/** One certificate of a bundle. */
export type ManifestEntry = Manifest['certificates'][number];
/** Where a certificate came from. */
export type Origin = ManifestEntry['source'];

/**
 * Read the manifest of a bundle.
 *
 * @throws {GatepassError} where it is missing or damaged.
 */
export function readManifest({manifestFile}: Bundle): Manifest {
	const text = readBoundedSync(manifestFile).toString('utf8');
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch (error) {
		throw new GatepassError(
			{code: 'bundle-damaged', what: `${manifestFile} is no JSON`, hint: 'Build the bundle again'},
			{cause: error},
		);
	}
	const parsed = manifestSchema.safeParse(value);
	if (parsed.success) return parsed.data;
	const [issue] = parsed.error.issues;
	throw new GatepassError(
		{
			code: 'bundle-damaged',
			what: `${manifestFile} is no manifest of a bundle (at ${issue?.path.join('.') || 'its top'})`,
			hint: 'Build the bundle again',
		},
		{cause: parsed.error},
	);
}
