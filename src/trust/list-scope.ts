/** Which certificates of its CA a revocation list is about, by its extensions (RFC 5280 section 5.2). */
import {type DerElement, derTag, readElement} from '../x509/der.ts';
import {damaged, identifierIn, parts, whole} from './list-fields.ts';

const extensionsTag = 0xa0;

/** Real lists have a dozen at most. */
const mostExtensions = 64;
/** RFC 5280 section 5.2.5 knows six. */
const mostParts = 8;

/** Extensions that change what a list says. */
const deltaIndicator = '2.5.29.27';
const issuingDistributionPoint = '2.5.29.28';
/** Those say nothing that matters here, also where they are critical. */
const harmless = ['2.5.29.35', '2.5.29.20', '2.5.29.18', '2.5.29.46', '1.3.6.1.5.5.7.1.1'];

/**
 * What certificates of its CA the list is about.
 *
 * @throws {Error} where it cannot be used at all, that says in half a sentence why.
 */
export function scopeOf(bytes: Buffer, extensions: DerElement | undefined): 'all' | 'some' {
	if (extensions === undefined) return 'all';
	if (extensions.tag !== extensionsTag) throw damaged();
	const [list] = parts(bytes, extensions, 1);
	let scope: 'all' | 'some' = 'all';
	for (const extension of parts(bytes, whole(bytes, list, derTag.sequence), mostExtensions)) {
		const [id, ...others] = parts(bytes, extension, 3);
		const identifier = identifierIn(bytes, whole(bytes, id, derTag.objectIdentifier));
		const isCritical = others[0]?.tag === derTag.boolean && bytes[others[0].begin] !== 0;
		if (identifier === deltaIndicator) throw new Error('holds only the changes to another revocation list');
		if (identifier === issuingDistributionPoint) {
			const value = others.at(-1);
			const point = value && readElement(bytes, value.begin, value.end);
			if (point === undefined) throw damaged();
			const told = parts(bytes, point, mostParts);
			// [4] indirectCRL: the entries are about certificates of other CAs.
			if (told.some(part => part.tag === 0x84 && bytes[part.begin] !== 0)) {
				throw new Error('holds a revocation list for several CAs');
			}
			// [0] is where it comes from; all else says what it leaves out.
			if (told.some(part => part.tag !== 0xa0)) scope = 'some';
		} else if (isCritical && !harmless.includes(identifier)) {
			// RFC 5280 section 5.2: what it does not name may be revoked all the same.
			scope = 'some';
		}
	}
	return scope;
}
