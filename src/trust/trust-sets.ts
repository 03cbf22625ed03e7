/** The CA certificates against which each server is verified. */
import {X509Certificate} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {getCACertificates} from 'node:tls';
import type {TrustEntry} from '../config/configuration.ts';
import {CertificateError} from '../errors.ts';
import {Matcher} from '../host-rules/matcher.ts';

/** CA certificates for some servers. One object for one entry of the configuration, so it serves as a key. */
export interface TrustSet {
	/** `file:line` of the entry. */
	readonly source: string;
	readonly files: readonly string[];
	/** All certificates, in PEM, the system's among them unless the entry leaves them out. */
	certificates(): readonly string[];
}

/** Finds the trust set of a URL. */
export class TrustSets {
	readonly #matcher: Matcher<TrustSet>;
	/** Whether there is any entry at all; spares the look-up where there is none. */
	readonly isEmpty: boolean;

	constructor(entries: readonly TrustEntry[]) {
		this.isEmpty = entries.length === 0;
		this.#matcher = new Matcher(
			entries.flatMap(entry => {
				const value = createTrustSet(entry);
				return entry.patterns.map(pattern => ({pattern, value}));
			}),
		);
	}

	/** The most specific entry for the URL; `undefined`: the system's roots. */
	find(url: URL): TrustSet | undefined {
		return this.isEmpty ? undefined : this.#matcher.find(url, 'GET')?.value;
	}
}

/** The trust set of one entry. Its files are read when the certificates are asked for. */
export function createTrustSet({source, files, only}: TrustEntry): TrustSet {
	let certificates: readonly string[] | undefined;
	return {
		source,
		files,
		certificates() {
			certificates ??= [...files.flatMap(readCertificates), ...(only ? [] : getCACertificates('default'))];
			return certificates;
		},
	};
}

/**
 * The certificates in a PEM file.
 *
 * @throws {CertificateError} where it holds none, or one that is damaged.
 */
function readCertificates(file: string): string[] {
	let text: string;
	try {
		text = readFileSync(file, 'utf8');
	} catch (error) {
		const {code} = error as NodeJS.ErrnoException;
		throw new CertificateError(`The CA file ${file} cannot be read (${code}). Name another under 'trust'`, {
			cause: error,
		});
	}
	const beginnings = text.match(/-----BEGIN (?:TRUSTED )?CERTIFICATE-----/g) ?? [];
	const blocks = text.match(/-----BEGIN ((?:TRUSTED )?CERTIFICATE)-----[^-]+-----END \1-----/g) ?? [];
	if (beginnings.length === 0) {
		throw new CertificateError(
			`The CA file ${file} holds no certificate in PEM form. Name another under 'trust'`,
		);
	}
	try {
		if (blocks.length < beginnings.length) throw new Error('One of them has no end');
		for (const block of blocks) new X509Certificate(block);
		return blocks;
	} catch (error) {
		throw new CertificateError(
			`A certificate in the CA file ${file} is damaged or cut off. Copy the file anew`,
			{
				cause: error,
			},
		);
	}
}
