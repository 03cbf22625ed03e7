/** Runs again what a page of the documentation shows of a terminal, and writes in what came, where that is another. */
import {readFileSync} from 'node:fs';
import {expect} from 'vitest';

/** The page with what comes today. `run` gives the output of a line, of which `shown` is what stands there. */
export async function replay(
	document: URL,
	leastBlocks: number,
	run: (line: string, shown: string) => Promise<string>,
): Promise<string> {
	const written = readFileSync(document, 'utf8');
	const blocks = [...written.matchAll(/^```console\n([\s\S]*?)^```$/gm)];
	expect(blocks.length).toBeGreaterThanOrEqual(leastBlocks);
	let current = '';
	let end = 0;
	for (const {0: whole, 1: block = '', index} of blocks) {
		let replayed = '';
		for (const [, line = '', shown = ''] of block.matchAll(/^\$ (.*)\n((?:(?!\$ ).*\n)*)/gm)) {
			const output = await run(line, shown);
			replayed += `$ ${line}\n${normalise(output) === normalise(shown) ? shown : output}`;
		}
		current += `${written.slice(end, index)}\`\`\`console\n${replayed}\`\`\``;
		end = index + whole.length;
	}
	return current + written.slice(end);
}

/** As a shell splits a line with single quotes. */
export function wordsOf(line: string): string[] {
	return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

/** What differs from run to run: times, tokens, sizes of gaps, the version of Node. */
function normalise(text: string): string {
	return (
		text
			.replaceAll(/\d{4}-\d\d-\d\d[T ]\d\d[:-]\d\d(?:[:-][\d.]+Z)?/g, '<time>')
			.replaceAll(/\w{3}, \d\d \w{3} \d{4} [\d:]+ GMT/g, '<time>')
			.replaceAll(/in \d+ ms/g, 'in <while>')
			.replaceAll(/\d+(?:\.\d)? ms|\d\.\d\d s/g, '<while>')
			// A strategy's work has a line where it takes a millisecond.
			.replaceAll('credential <while>, ', '')
			.replaceAll(/"phases": \[[^\]]*\]/g, '"phases": [<phases>]')
			.replaceAll(/\(owner \d+,/g, '(owner <number>,')
			.replaceAll(/in [\d,]+ (?:minute|hour|day)s?/g, 'in <while>')
			.replaceAll(/\d+ (?:minute|hour|day)s? ago/g, '<while> ago')
			.replaceAll(/(?<=-----BEGIN CERTIFICATE REQUEST-----\n)[\w+/=\n]+/g, '<request>\n')
			.replaceAll(/(?<=<time>-)[0-9a-f]{8}\b/g, '<thumbprint>')
			.replaceAll(/(?<=serial number {2})[0-9A-F]+/g, '<serial>')
			.replaceAll(/(?<= (?:serial|SHA-256) +)[\dA-Fa-f]{10,}/g, '<digits>')
			.replaceAll(/^. node .*\n(?: +→.*\n)?/gm, '<node>\n')
			.replaceAll(/^(?:All is well|1 warning)\.$/gm, '<summary>')
			.replaceAll(/^[\w-]{20,}$/gm, '<token>')
			.replaceAll(/("token": )"[\w-]+"/g, '$1"<token>"')
			.replaceAll(/("(?:expiresAt|notBefore|notAfter|installedAt|since)": )\d+/g, '$1<time>')
			// The number of the user.
			.replaceAll(/x509up_u\d+/g, 'x509up_u<number>')
			.replaceAll(/ {2,}/g, '  ')
	);
}
