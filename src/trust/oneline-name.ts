/**
 * Names as `X509_NAME_oneline` of OpenSSL 3 writes them, which is how Globus holds them against signing policies:
 * `/DC=org/CN=host\/a.example.org+OU=Andr\xC3\xA9`. By their bytes: what these mean in an old encoding nobody knows for
 * sure.
 */
import type {X509Certificate} from 'node:crypto';
import {namesIn} from '../x509/canonical-name.ts';
import {childrenOf, type DerElement} from '../x509/der.ts';
import {slashSubject} from '../x509/names.ts';

export function onelineSubject(certificate: X509Certificate): string {
	const {raw, subject} = certificate;
	return onelineOf(raw, namesIn(raw)?.subject, subject) ?? slashSubject(certificate);
}

/** @param written by Node, which knows how OpenSSL calls each attribute. */
function onelineOf(
	raw: Buffer,
	name: DerElement | undefined,
	written: string | undefined,
): string | undefined {
	const sets = name === undefined ? [] : childrenOf(raw, name).map(set => childrenOf(raw, set));
	const words = (written ?? '').split(/\n| \+ /).map(part => part.slice(0, part.indexOf('=')));
	if (sets.flat().length !== words.length) return undefined;
	const parts = sets.map(set =>
		set.map(attribute => {
			const value = childrenOf(raw, attribute)[1];
			return `${words.shift()}=${value === undefined ? '' : printable(raw.subarray(value.begin, value.end))}`;
		}),
	);
	return parts.map(attributes => `/${attributes.join('+')}`).join('');
}

function printable(bytes: Buffer): string {
	return bytes
		.toString('latin1')
		.replace(/[/+]/g, '\\$&')
		.replace(
			/[^ -~]/g,
			character => `\\x${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
		);
}
