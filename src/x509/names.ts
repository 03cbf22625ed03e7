/** Names of certificates, in the form of RFC 2253 and in the grid's form with slashes. */
import type {X509Certificate} from 'node:crypto';

/** The subject as RFC 2253 writes it: `CN=alice,OU=Users,DC=example`. */
export function rfc2253Subject({subject}: X509Certificate): string {
	return toRfc2253(subject);
}

/** The issuer as RFC 2253 writes it. */
export function rfc2253Issuer({issuer}: X509Certificate): string {
	return toRfc2253(issuer);
}

/** The subject as the grid writes it: `/DC=example/OU=Users/CN=alice`. */
export function slashSubject({subject}: X509Certificate): string {
	return toSlashes(subject);
}

/** The issuer as the grid writes it. */
export function slashIssuer({issuer}: X509Certificate): string {
	return toSlashes(issuer);
}

/** The values of an attribute, such as `CN`, in the order of the certificate. */
export function subjectValues({subject}: X509Certificate, attribute: string): string[] {
	return attributesOf(subject)
		.filter(({name}) => name === attribute)
		.map(({value}) => value);
}

/** Node writes one part to a line, in the order of the certificate, with the escapes of RFC 2253. As OpenSSL does it. */
function toRfc2253(name: string | undefined): string {
	return partsOf(name)
		.reverse()
		.map(part => part.split(' + ').reverse().join('+'))
		.join(',');
}

/**
 * As Globus and VOMS write it, so that it can be compared with a signing policy or a grid map: a slash inside a value
 * stays as it is, and what is not printable ASCII becomes `\xHH`.
 */
function toSlashes(name: string | undefined): string {
	const parts = partsOf(name).map(part =>
		attributesOf(part)
			.map(({name: attribute, value}) => `${attribute}=${toPrintable(value)}`)
			.join('+'),
	);
	return parts.map(part => `/${part}`).join('');
}

function partsOf(name: string | undefined): string[] {
	return name === undefined || name === '' ? [] : name.split('\n');
}

/** The attributes of a name as Node writes it, in the order of the certificate. */
export function attributesOf(name: string | undefined): {name: string; value: string}[] {
	return partsOf(name)
		.flatMap(part => part.split(' + '))
		.map(part => {
			const at = part.indexOf('=');
			return {name: part.slice(0, at), value: unescaped(part.slice(at + 1))};
		});
}

/** Undo the escapes of RFC 2253 section 2.4. */
function unescaped(value: string): string {
	return value.replace(/\\([0-9A-F]{2}|.)/g, (_, escaped: string) =>
		escaped.length === 2 ? String.fromCharCode(Number.parseInt(escaped, 16)) : escaped,
	);
}

function toPrintable(value: string): string {
	if (/^[ -~]*$/.test(value)) return value;
	return Array.from(Buffer.from(value), byte =>
		byte >= 0x20 && byte <= 0x7e
			? String.fromCharCode(byte)
			: `\\x${byte.toString(16).toUpperCase().padStart(2, '0')}`,
	).join('');
}
