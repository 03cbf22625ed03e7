/** The algorithms of Digest (RFC 7616 section 3.3), the best first. */
import {createHash} from 'node:crypto';

export interface DigestAlgorithm {
	/** As servers name it; compared without regard to case. */
	readonly name: string;
	/** Whether the key is tied to a session (RFC 7616 section 3.4.2). */
	readonly isSession: boolean;
	/** In hexadecimal digits. */
	hash(text: string | Uint8Array): string;
}

const hashes: readonly (readonly [name: string, hash: string])[] = [
	['SHA-512-256', 'sha512-256'],
	['SHA-256', 'sha256'],
	['MD5', 'md5'],
];

export const algorithms: readonly DigestAlgorithm[] = hashes.flatMap(([name, hash]) =>
	[false, true].map(isSession => ({
		name: isSession ? `${name}-sess` : name,
		isSession,
		hash: (text: string | Uint8Array) => createHash(hash).update(text).digest('hex'),
	})),
);

/** Without a name it is MD5 (RFC 7616 section 3.3). `undefined`: one that gatepass does not know. */
export function findAlgorithm(name = 'MD5'): DigestAlgorithm | undefined {
	return algorithms.find(algorithm => algorithm.name.toLowerCase() === name.toLowerCase());
}
