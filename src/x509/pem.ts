/** PEM (RFC 7468), as it is found: with a byte order mark, Windows line ends, text around it, blanks inside. */

/** One block between `-----BEGIN …-----` and `-----END …-----`. */
export interface PemBlock {
	/** `CERTIFICATE`, `RSA PRIVATE KEY` and the like. */
	readonly label: string;
	/** The lines before the content, such as `Proc-Type: 4,ENCRYPTED` (RFC 1421 section 4.6). */
	readonly headers: string;
	/** The content in base64, without blanks. */
	readonly base64: string;
	/** Whether it has its end, and nothing in it but base64. */
	readonly isWhole: boolean;
	/** What openssl writes before it of PKCS#12's attributes. */
	readonly alias?: string;
}

const beginning = '-----BEGIN ';
const dashes = '-----';

/** The blocks of a file, in its order. Takes time in proportion to the length of the text, whatever that holds. */
export function pemBlocks(bytes: Buffer): PemBlock[] {
	const text = textOf(bytes);
	const blocks: PemBlock[] = [];
	let at = text.indexOf(beginning);
	let end = 0;
	while (at !== -1) {
		const labelEnd = text.indexOf(dashes, at + beginning.length);
		if (labelEnd === -1) break;
		const label = text.slice(at + beginning.length, labelEnd);
		const bodyStart = labelEnd + dashes.length;
		const found = text.indexOf(dashes, bodyStart);
		const bodyEnd = found === -1 ? text.length : found;
		const {headers, base64} = splitBody(text.slice(bodyStart, bodyEnd));
		const isWhole = text.startsWith(`${dashes}END ${label}${dashes}`, bodyEnd) && isBase64.test(base64);
		const alias = aliasIn(text.slice(end, at));
		if (isLabel.test(label)) {
			blocks.push({label, headers, base64, isWhole, ...(alias !== undefined && {alias})});
		}
		end = bodyEnd;
		at = text.indexOf(beginning, bodyEnd);
	}
	return blocks;
}

const isLabel = /^[A-Z0-9 #]{1,64}$/;
const isBase64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** `    friendlyName: alice`. The text is read as Latin-1, and openssl writes UTF-8. */
function aliasIn(before: string): string | undefined {
	const written = /^ *friendlyName: (.{1,256}?)\r?$/m.exec(before)?.[1];
	return written === undefined ? undefined : Buffer.from(written, 'latin1').toString('utf8');
}

/** Headers, where there are any, end at an empty line. */
function splitBody(body: string): {headers: string; base64: string} {
	const lines = body.split(/\r\n|\r|\n/).map(line => line.trim());
	const first = lines.findIndex(line => line !== '');
	if (first === -1 || !lines[first]?.includes(':')) return {headers: '', base64: body.replace(/\s+/g, '')};
	const blank = lines.indexOf('', first);
	const end = blank === -1 ? lines.length : blank;
	return {headers: lines.slice(first, end).join('\n'), base64: lines.slice(end).join('').replace(/\s+/g, '')};
}

/** Windows PowerShell writes UTF-16; all else that matters in PEM is ASCII. */
function textOf(bytes: Buffer): string {
	if (bytes[0] === 0xff && bytes[1] === 0xfe) return bytes.toString('utf16le', 2);
	return bytes.toString('latin1');
}
