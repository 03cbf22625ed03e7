/** By which names the files of one CA go in a hashed CA folder. */
import type {X509Certificate} from 'node:crypto';
import {oldSubjectHash, subjectHash} from '../x509/subject-hash.ts';

const kept = new WeakMap<X509Certificate, readonly string[]>();

/** The hash that OpenSSL has made since 1.0, and the one before. */
export function hashesOf(authority: X509Certificate): readonly string[] {
	let hashes = kept.get(authority);
	if (hashes === undefined) {
		hashes = [...new Set([subjectHash, oldSubjectHash].flatMap(hash => orNone(() => hash(authority))))];
		kept.set(authority, hashes);
	}
	return hashes;
}

/** Where only approved algorithms are allowed, there is no MD5, and so no old hash. */
function orNone(hash: () => string): string[] {
	try {
		return [hash()];
	} catch {
		return [];
	}
}
