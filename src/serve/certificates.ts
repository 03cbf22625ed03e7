/** Makes the certificates with which the proxy opens tunnels: in a millisecond, without loading a library for X.509. */
import {createHash, createPublicKey, type KeyObject, randomBytes, sign} from 'node:crypto';
import {isIP} from 'node:net';
import {
	bitString,
	identifier,
	implicit,
	integer,
	octets,
	sequence,
	set,
	tagged,
	time,
	utf8,
	yes,
} from '../x509/der-writer.ts';
import {addressBytes, generalName} from '../x509/general-name.ts';

/** The hosts for which a CA may issue. */
export interface Constraints {
	/** Names; each stands for all names below it, too (RFC 5280 section 4.2.1.10). */
	readonly names: readonly string[];
	readonly addresses: readonly string[];
}

export interface CertificateSettings {
	/** The common name; none: the host is named in an extension only. */
	readonly subject: string | undefined;
	readonly publicKey: KeyObject;
	readonly issuer: {readonly subject: string; readonly key: KeyObject};
	readonly notBefore: Date;
	readonly notAfter: Date;
	/** Of a CA; `constraints` of `undefined`: for all hosts. */
	readonly ca?: {readonly pathLength: number; readonly constraints: Constraints | undefined};
	/** Of a server: a name or an address. */
	readonly host?: string;
}

const ecdsaWithSha256 = sequence(identifier('1.2.840.10045.4.3.2'));

/** A certificate in DER. Keys are of elliptic curves. */
export function makeCertificate(settings: CertificateSettings): Buffer {
	const {subject, publicKey, issuer, notBefore, notAfter, ca, host} = settings;
	const spki = publicKey.export({type: 'spki', format: 'der'});
	const issuerId = keyIdentifier(createPublicKey(issuer.key).export({type: 'spki', format: 'der'}));
	const extensions = [
		extension('2.5.29.14', octets(keyIdentifier(spki))),
		extension('2.5.29.35', sequence(implicit(0, issuerId))),
		...(ca === undefined ? [] : extensionsOfCa(ca)),
		...(host === undefined ? [] : extensionsOfServer(host)),
	];
	const toBeSigned = sequence(
		tagged(0, integer(Buffer.from([2]))),
		integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
		ecdsaWithSha256,
		nameOf(issuer.subject),
		sequence(time(notBefore), time(notAfter)),
		nameOf(subject),
		spki,
		tagged(3, sequence(...extensions)),
	);
	return sequence(toBeSigned, ecdsaWithSha256, bitString(sign('sha256', toBeSigned, issuer.key)));
}

export function toPem(der: Buffer): string {
	const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
	return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function extensionsOfCa({pathLength, constraints}: NonNullable<CertificateSettings['ca']>): Buffer[] {
	return [
		extension('2.5.29.19', sequence(yes, integer(Buffer.from([pathLength]))), true),
		// keyCertSign.
		extension('2.5.29.15', bitString(Buffer.from([0x04]), 2), true),
		...(constraints === undefined ? [] : [extension('2.5.29.30', permitted(constraints), true)]),
	];
}

function extensionsOfServer(host: string): Buffer[] {
	return [
		extension('2.5.29.19', sequence(), true),
		// digitalSignature.
		extension('2.5.29.15', bitString(Buffer.from([0x80]), 7), true),
		extension('2.5.29.37', sequence(identifier('1.3.6.1.5.5.7.3.1'))),
		extension('2.5.29.17', sequence(generalName(host))),
	];
}

function extension(oid: string, value: Buffer, critical = false): Buffer {
	return sequence(identifier(oid), ...(critical ? [yes] : []), octets(value));
}

/** A kind of name that has no entry would be permitted whole: it gets one that is no host's. */
function permitted({names, addresses}: Constraints): Buffer {
	const v4 = addresses.filter(address => isIP(address) === 4);
	const v6 = addresses.filter(address => isIP(address) === 6);
	const subtrees = [
		...(names.length > 0 ? names : ['gatepass.invalid']).map(name => implicit(2, Buffer.from(name))),
		...[...(v4.length > 0 ? v4 : ['0.0.0.0']), ...(v6.length > 0 ? v6 : ['::'])].map(address => {
			const bytes = addressBytes(address);
			return implicit(7, Buffer.concat([bytes, Buffer.alloc(bytes.length, 0xff)]));
		}),
	];
	return sequence(tagged(0, Buffer.concat(subtrees.map(base => sequence(base)))));
}

/** RFC 5280 section 4.2.1.2, method 1: of the bits of the key alone. */
function keyIdentifier(spki: Buffer): Buffer {
	// They stand at the end: an uncompressed point of the curve.
	return createHash('sha1')
		.update(spki.subarray(spki.lastIndexOf(Buffer.from([0x03, 0x42, 0x00])) + 3))
		.digest();
}

function nameOf(commonName: string | undefined): Buffer {
	const attribute = (oid: string, value: string): Buffer => set(sequence(identifier(oid), utf8(value)));
	const organisation = attribute('2.5.4.10', 'gatepass');
	// At most 64 characters (RFC 5280 appendix A.1).
	return commonName === undefined
		? sequence(organisation)
		: sequence(organisation, attribute('2.5.4.3', commonName.slice(0, 64)));
}
