/** How much work an encrypted key or PKCS#12 file asks for before its passphrase can be tried. */
import {childrenOf, type DerElement, derTag, readElement} from './der.ts';

/**
 * The most work that any key derivation in `der` asks for, in rounds of PBKDF2 (RFC 8018 appendix A.2) or of PKCS#12's
 * own (RFC 7292 appendix B and C), which both write a salt followed by their number. scrypt (RFC 7914 section 7) writes
 * three numbers there, whose product takes about as long as so many rounds.
 */
export function derivationRounds(der: Buffer): number {
	let most = 0;
	const visit = (parent: DerElement, depth: number): void => {
		// Real files go some ten levels deep.
		if (depth > 32) return;
		const children = childrenOf(der, parent);
		for (const [index, child] of children.entries()) {
			if (child.tag === derTag.octetString) most = Math.max(most, workIn(der, children.slice(index + 1)));
			if (isConstructed(child) || child.tag === derTag.octetString) visit(child, depth + 1);
		}
	};
	const outer = readElement(der);
	if (outer !== undefined) visit(outer, 0);
	return most;
}

/** What the numbers behind a salt ask for. */
function workIn(der: Buffer, behind: readonly DerElement[]): number {
	const end = behind.findIndex(({tag}) => tag !== derTag.integer);
	const numbers = (end === -1 ? behind : behind.slice(0, end)).map(number => unsigned(der, number));
	// PBKDF2 may name the length of the key, too.
	return numbers.length < 3 ? (numbers[0] ?? 0) : numbers.reduce((product, number) => product * number, 1);
}

function isConstructed({tag}: DerElement): boolean {
	return (tag & 0x20) !== 0;
}

function unsigned(der: Buffer, {begin, end}: DerElement): number {
	return end - begin > 6 ? Number.POSITIVE_INFINITY : end === begin ? 0 : der.readUIntBE(begin, end - begin);
}
