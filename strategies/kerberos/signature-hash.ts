/** Which hash function belongs to a certificate's signature, by RFC 5929 section 4.1. */

/** OIDs of signature algorithms, in DER with tag and length, and their hash functions. */
const algorithms: readonly (readonly [oid: string, hash: string])[] = [
	// MD5 and SHA-1 with RSA, ECDSA with SHA-1: SHA-256 takes their place.
	['06092a864886f70d010104', 'sha256'],
	['06092a864886f70d010105', 'sha256'],
	['06072a8648ce3d0401', 'sha256'],
	// RSA (RFC 4055).
	['06092a864886f70d01010e', 'sha224'],
	['06092a864886f70d01010b', 'sha256'],
	['06092a864886f70d01010c', 'sha384'],
	['06092a864886f70d01010d', 'sha512'],
	// ECDSA (RFC 5758).
	['06082a8648ce3d040301', 'sha224'],
	['06082a8648ce3d040302', 'sha256'],
	['06082a8648ce3d040303', 'sha384'],
	['06082a8648ce3d040304', 'sha512'],
];

/** RSASSA-PSS names its hash function in its parameters (RFC 4055 section 3.1). */
const pss = '06092a864886f70d01010a';
const pssHashes: readonly (readonly [oid: string, hash: string])[] = [
	['0609608648016503040201', 'sha256'],
	['0609608648016503040202', 'sha384'],
	['0609608648016503040203', 'sha512'],
];

/** The name as `createHash` takes it; `undefined` for an algorithm that is not known or has none, such as Ed25519. */
export function signatureHash(certificate: Uint8Array): string | undefined {
	const algorithm = signatureAlgorithm(certificate);
	if (algorithm === undefined) return undefined;
	const hexadecimal = Buffer.from(algorithm).toString('hex');
	if (hexadecimal.startsWith(pss)) {
		const named = pssHashes.find(([oid]) => hexadecimal.includes(oid));
		// Without parameters it is SHA-1, whose place SHA-256 takes.
		return named?.[1] ?? 'sha256';
	}
	return algorithms.find(([oid]) => hexadecimal.startsWith(oid))?.[1];
}

/** RFC 5280 section 4.1: a sequence of the certificate's content, the algorithm and the signature. */
function signatureAlgorithm(certificate: Uint8Array): Uint8Array | undefined {
	const whole = element(certificate, 0);
	const content = whole === undefined ? undefined : element(certificate, whole.start);
	const algorithm = content === undefined ? undefined : element(certificate, content.end);
	return algorithm === undefined ? undefined : certificate.subarray(algorithm.start, algorithm.end);
}

/** Where the content of a DER element begins and ends (X.690 section 8.1.3). */
function element(der: Uint8Array, offset: number): {start: number; end: number} | undefined {
	const first = der[offset + 1];
	if (first === undefined) return undefined;
	if (first < 0x80) return {start: offset + 2, end: offset + 2 + first};
	const count = first & 0x7f;
	let length = 0;
	for (const byte of der.subarray(offset + 2, offset + 2 + count)) length = length * 256 + byte;
	return {start: offset + 2 + count, end: offset + 2 + count + length};
}
