/** Extensions of a certificate (RFC 5280 section 4.1.2.9) that `node:crypto` does not tell. */
import type {X509Certificate} from 'node:crypto';
import {childrenOf, type DerElement, derTag, objectIdentifier, readElement} from './der.ts';

/** Context-specific and constructed: the extensions are part `[3]` of a certificate. */
const extensionsTag = 0xa3;

export interface Extension {
	readonly identifier: string;
	readonly isCritical: boolean;
	readonly value: Buffer;
}

/** All extensions, as far as they are whole. */
export function extensionsOf({raw}: X509Certificate): Extension[] {
	const certificate = readElement(raw);
	const content = certificate && childrenOf(raw, certificate)[0];
	const explicit = content && childrenOf(raw, content).find(({tag}) => tag === extensionsTag);
	const list = explicit && childrenOf(raw, explicit)[0];
	return (list === undefined ? [] : childrenOf(raw, list)).flatMap(extension => {
		const parts = childrenOf(raw, extension);
		const [id, flag] = parts;
		const value = parts.findLast(({tag}) => tag === derTag.octetString);
		if (id === undefined || value === undefined) return [];
		return {
			identifier: objectIdentifier(raw, id),
			isCritical: flag?.tag === derTag.boolean && raw[flag.begin] !== 0,
			value: raw.subarray(value.begin, value.end),
		};
	});
}

/** The value of the extension with that identifier. */
export function findExtension(certificate: X509Certificate, identifier: string): Buffer | undefined {
	return extensionsOf(certificate).find(extension => extension.identifier === identifier)?.value;
}

/** The policies that a certificate was issued under (RFC 5280 section 4.2.1.4). */
export function policiesOf(certificate: X509Certificate): string[] {
	const value = findExtension(certificate, '2.5.29.32');
	const list = value && readElement(value);
	if (value === undefined || list === undefined) return [];
	return childrenOf(value, list).flatMap(policy => {
		const id: DerElement | undefined = childrenOf(value, policy)[0];
		return id?.tag === derTag.objectIdentifier ? [objectIdentifier(value, id)] : [];
	});
}
