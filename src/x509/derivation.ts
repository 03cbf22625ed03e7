/** How much work an encrypted key or PKCS#12 file asks for before its passphrase can be tried. */
import {childrenOf, type DerElement, derTag, readElement} from './der.ts';

/**
 * The largest number of rounds that any key derivation in `der` asks for: PBKDF2 (RFC 8018 appendix A.2), and
 * PKCS#12's own (RFC 7292 appendix B and C). Both write it as a salt followed by the number.
 */
export function derivationRounds(der: Buffer): number {
	let most = 0;
	const visit = (parent: DerElement, depth: number): void => {
		// Real files go some ten levels deep.
		if (depth > 32) return;
		const children = childrenOf(der, parent);
		for (const [index, child] of children.entries()) {
			const isRounds = child.tag === derTag.integer && children[index - 1]?.tag === derTag.octetString;
			if (isRounds) most = Math.max(most, unsigned(der, child));
			if (isConstructed(child) || child.tag === derTag.octetString) visit(child, depth + 1);
		}
	};
	const outer = readElement(der);
	if (outer !== undefined) visit(outer, 0);
	return most;
}

function isConstructed({tag}: DerElement): boolean {
	return (tag & 0x20) !== 0;
}

function unsigned(der: Buffer, {begin, end}: DerElement): number {
	return end - begin > 6 ? Number.POSITIVE_INFINITY : end === begin ? 0 : der.readUIntBE(begin, end - begin);
}
