/** Makes what others say fit for a message: no secret, no control characters, not too much. */

const longest = 300;

/** A server may repeat what it was sent, and may send anything. A JWT is a credential, whoever made it. */
export function printable(text: string, secrets: readonly string[] = []): string {
	return withoutSecrets(text, secrets)
		.replaceAll(/[^\x20-\x7E…]/g, ' ')
		.slice(0, longest);
}

/** Without JWTs and without the secrets that are named. */
export function withoutSecrets(text: string, secrets: readonly string[] = []): string {
	let hidden = text.replaceAll(/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, '…');
	for (const secret of secrets) {
		for (const form of formsOf(secret)) hidden = hidden.replaceAll(form, '…');
	}
	return hidden;
}

/**
 * The words of a program, in which secrets may stand that nobody knows of: also without keys in PEM, without what stands
 * behind `Bearer` or a name such as `password=`, and without anything that is as long as a token.
 */
export function programsWords(text: string, secrets: readonly string[] = []): string {
	const known = withoutSecrets(text.replaceAll(/-----BEGIN [\s\S]*?(?:-----END [^\n]*|$)/g, '…'), secrets);
	return known
		.replaceAll(/\b(bearer|basic|negotiate)\s+(?=\S*\d)\S{8,}/gi, '$1 …')
		.replaceAll(
			/(["']?\b[\w-]*(?:secret|passw|passphrase|token|assertion|credential|api-?key)[\w-]*["']?\s*[=:]\s*)(?:"[^"]*"|'[^']*'|[^\s,;]+)/gi,
			'$1…',
		)
		.replaceAll(/(?<![\w+/.~-])[\w+~-][\w+/~-]{39,}={0,2}/g, '…')
		.replaceAll(/[^\x20-\x7E\n…]/g, ' ');
}

/** A secret as it is, as it travels in a URL and in a form, and as a form looks that is half decoded. */
function formsOf(secret: string): string[] {
	if (secret === '') return [];
	return [secret, encodeURIComponent(secret), formEncoded(secret), secret.replaceAll(' ', '+')];
}

function formEncoded(text: string): string {
	return new URLSearchParams({'': text}).toString().slice(1);
}
