/** Makes what others say fit for a message: no secret, no control characters, not too much. */

import {redact} from '../../src/strategy/index.ts';

const longest = 300;

/** A server may repeat what it was sent, and may send anything. */
export function printable(text: string, secrets: readonly string[] = []): string {
	return redact(text, secrets)
		.replaceAll(/[^\x20-\x7E…]/g, ' ')
		.slice(0, longest);
}

/**
 * The words of a program, in which secrets may stand that nobody knows of: also without keys in PEM, without what stands
 * behind `Bearer` or a name such as `password=`, and without anything that is as long as a token.
 */
export function programsWords(text: string, secrets: readonly string[] = []): string {
	const known = redact(withoutKeys(text), secrets);
	return known
		.replaceAll(/\b(bearer|basic|negotiate)\s+(?=\S*\d)\S{8,}/gi, '$1 …')
		.replaceAll(
			/(["']?\b[\w-]*(?:secret|passw|passphrase|token|assertion|credential|api-?key)[\w-]*["']?\s*[=:]\s*)(?:"[^"]*"|'[^']*'|[^\s,;]+)/gi,
			'$1…',
		)
		.replaceAll(/(?<![\w+/.~-])[\w+~-][\w+/~-]{39,}={0,2}/g, '…')
		.replaceAll(/[^\x20-\x7E\n…]/g, ' ');
}

/** Without what stands in PEM, also where its beginning was cut off. */
function withoutKeys(text: string): string {
	const [begin, end] = [text.indexOf('-----BEGIN '), text.indexOf('-----END ')];
	const isCut = end !== -1 && (begin === -1 || end < begin);
	return `${isCut ? '-----BEGIN ' : ''}${text}`.replaceAll(/-----BEGIN [\s\S]*?(?:-----END [^\n]*|$)/g, '…');
}
