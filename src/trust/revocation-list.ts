/**
 * Certificate revocation lists (RFC 5280 section 5). Read here rather than with a library of ASN.1, whose objects for
 * each of 100,000 entries take seconds and hundreds of megabytes.
 *
 * Anybody can make a list of any size and shape. Until its signature is known to be right, no more of it is taken apart
 * than the few fields that each list has, and these only as far as such fields go.
 */
import type {X509Certificate} from 'node:crypto';
import {setImmediate as otherWork} from 'node:timers/promises';
import {canonicalName, canonicalNames} from '../x509/canonical-name.ts';
import {derTag, readElement} from '../x509/der.ts';
import {ListEntries} from './list-entries.ts';
import {damaged, fromPem, isTime, parts, timeOf, whole} from './list-fields.ts';
import {scopeOf} from './list-scope.ts';
import {isSignatureOf, type ListSignature, verifySignature} from './list-signature.ts';

/** RFC 5280 section 5.1.2 knows seven fields. */
const mostFields = 7;
/** Real names have 200 bytes. */
const longestName = 8192;

/** So many entries are looked at in one go; that takes a few milliseconds. */
const slice = 50_000;

/** One revocation list, whose signature is yet to be verified. */
export interface RevocationList {
	/** In DER. */
	readonly der: Buffer;
	/** Milliseconds since 1970. */
	readonly thisUpdate: number;
	/** When the CA issues the next one, in milliseconds since 1970; it need not say. */
	readonly nextUpdate: number | undefined;
	/** How many certificates it names. Reads the entries, and throws where one is damaged. */
	readonly size: number;
	/** Whether it tells all that is to be told: a list for some kinds of certificates, for example, does not. */
	readonly isComplete: boolean;
	/** Whether that CA signed it, in its own name; and all of it can be read. Found out once for each CA. */
	isSignedBy(authority: X509Certificate): boolean;
	/** As {@link RevocationList.isSignedBy}, and holds nothing up meanwhile: to verify 60 MB takes a while. */
	verify(authority: X509Certificate): Promise<boolean>;
	/** Whether it names a certificate of its CA. Throws likewise; ask it only of a list that is signed. */
	revokes(certificate: X509Certificate): boolean;
}

/**
 * Whether a list counts now: not one that begins in the future (RFC 5280 section 5.1.2.4), nor one that is outdated. A CA
 * that does not say when the next list comes issues it when there is something new.
 */
export function timelinessOf(
	{thisUpdate, nextUpdate}: Pick<RevocationList, 'thisUpdate' | 'nextUpdate'>,
	now = Date.now(),
): 'current' | 'early' | 'outdated' {
	if (thisUpdate > now) return 'early';
	return nextUpdate === undefined || now <= nextUpdate ? 'current' : 'outdated';
}

/**
 * Read a list in DER or in PEM.
 *
 * @throws {Error} that says in half a sentence what is wrong.
 */
export function parseRevocationList(bytes: Buffer): RevocationList {
	const der = bytes[0] === derTag.sequence ? bytes : fromPem(bytes);
	const list = whole(der, readElement(der), derTag.sequence);
	const [content, algorithm, signature] = parts(der, list, 3);
	if (content?.tag !== derTag.sequence || algorithm === undefined || signature?.tag !== derTag.bitString) {
		throw damaged();
	}
	const fields = parts(der, content, mostFields);
	// The version may be left out.
	let at = fields[0]?.tag === derTag.integer ? 1 : 0;
	const inner = whole(der, fields[at++], derTag.sequence);
	// RFC 5280 section 5.1.1.2: what is signed with stands in what is signed, too.
	const isSame = der.subarray(inner.start, inner.end).equals(der.subarray(algorithm.start, algorithm.end));
	// All bits of the last byte count: that is what the first one says.
	if (!isSame || der[signature.begin] !== 0) throw damaged();
	const issuer = whole(der, fields[at++], derTag.sequence);
	const thisUpdate = timeOf(der, fields[at++]);
	const nextUpdate = isTime(fields[at]) ? timeOf(der, fields[at++]) : undefined;
	if (thisUpdate === undefined || issuer.end - issuer.begin > longestName) throw damaged();
	const entries = new ListEntries(der, fields[at]?.tag === derTag.sequence ? fields[at++] : undefined);
	const scope = scopeOf(der, fields[at]);
	return new ParsedList({
		der,
		thisUpdate,
		nextUpdate,
		isComplete: scope === 'all',
		entries,
		issuer: canonicalName(der, issuer).toString('latin1'),
		signed: {
			content: der.subarray(content.start, content.end),
			algorithm: der.subarray(algorithm.start, algorithm.end),
			signature: der.subarray(signature.begin + 1, signature.end),
		},
	});
}

interface Parts extends Pick<RevocationList, 'der' | 'thisUpdate' | 'nextUpdate' | 'isComplete'> {
	readonly entries: ListEntries;
	/** In the form in which names are compared. */
	readonly issuer: string;
	readonly signed: ListSignature;
}

class ParsedList implements RevocationList {
	readonly der: Buffer;
	readonly thisUpdate: number;
	readonly nextUpdate: number | undefined;
	readonly isComplete: boolean;
	readonly #entries: ListEntries;
	readonly #issuer: string;
	readonly #signed: ListSignature;
	/** By the CA's fingerprint. */
	readonly #verdicts = new Map<string, boolean>();

	constructor({der, thisUpdate, nextUpdate, isComplete, entries, issuer, signed}: Parts) {
		this.der = der;
		this.thisUpdate = thisUpdate;
		this.nextUpdate = nextUpdate;
		this.isComplete = isComplete;
		this.#entries = entries;
		this.#issuer = issuer;
		this.#signed = signed;
	}

	get size(): number {
		return orDamaged(() => this.#entries.size);
	}

	isSignedBy(authority: X509Certificate): boolean {
		const known = this.#verdictOn(authority);
		if (known !== undefined) return known;
		// A CA that signs nonsense has no list.
		const isRight =
			isSignatureOf(authority.publicKey, this.#signed) && canBeDone(() => this.#entries.check());
		this.#verdicts.set(authority.fingerprint256, isRight);
		return isRight;
	}

	async verify(authority: X509Certificate): Promise<boolean> {
		const known = this.#verdictOn(authority);
		if (known !== undefined) return known;
		let isRight = await verifySignature(authority.publicKey, this.#signed);
		for (let isThrough = false; isRight && !isThrough; ) {
			isRight = canBeDone(() => {
				isThrough = this.#entries.check(slice);
			});
			if (!isThrough) await otherWork();
		}
		this.#verdicts.set(authority.fingerprint256, isRight);
		return isRight;
	}

	revokes(certificate: X509Certificate): boolean {
		return orDamaged(() => this.#entries.name(certificate));
	}

	#verdictOn(authority: X509Certificate): boolean | undefined {
		if (canonicalNames(authority).subject !== this.#issuer) return false;
		return this.#verdicts.get(authority.fingerprint256);
	}
}

function canBeDone(work: () => unknown): boolean {
	try {
		work();
		return true;
	} catch {
		return false;
	}
}

function orDamaged<Result>(work: () => Result): Result {
	try {
		return work();
	} catch {
		throw damaged();
	}
}
