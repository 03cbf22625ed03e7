/** The options of `http-signature`. */
import {createPrivateKey, createSecretKey, type KeyObject} from 'node:crypto';
import {z} from 'zod';
import {algorithms, algorithmsOf} from './algorithms.ts';
import {parseComponent} from './components.ts';

/** Bytes: as many as the hash of the only algorithm for it gives would be better, and fewer than these are guessed. */
const shortestSecret = 16;

export const signatureOptions = z
	.strictObject({
		keyId: z
			.string()
			.min(1)
			.regex(/^[\x20-\x7E]*$/, 'it has printable characters of ASCII only')
			.describe('The name of the key at the server'),
		algorithm: z.enum(algorithms).optional().describe('The algorithm. Default: the usual one of the key'),
		privateKey: z.string().min(1).optional().describe('The private key to sign with, as PEM text'),
		secret: z
			.base64('it is not base64; write the bytes of the shared secret in base64')
			.optional()
			.describe('The shared secret of hmac-sha256, in base64'),
		components: z
			.array(z.string())
			.min(1)
			.optional()
			.describe(
				'What is signed. Default: method, authority, path, query and, with a body, its digest and type',
			),
		label: z
			.string()
			.regex(/^[a-z*][\da-z_.*-]*$/, 'it begins with a small letter, and has small letters, digits, - _ . *')
			.default('sig1')
			.describe('The name of the signature in its headers'),
		digest: z
			.enum(['sha-256', 'sha-512', 'none'])
			.optional()
			.describe('The hash of Content-Digest; none: the body is left out. Default: sha-256'),
	})
	.superRefine(({algorithm, privateKey, secret, components, digest}, context) => {
		const refuse = (path: string, message: string, index?: number): void =>
			context.addIssue({code: 'custom', path: index === undefined ? [path] : [path, index], message});
		if ((privateKey === undefined) === (secret === undefined)) {
			refuse('privateKey', "set either 'privateKey' or 'secret'");
			return;
		}
		if (secret !== undefined) {
			if (Buffer.from(secret, 'base64').length < shortestSecret)
				refuse('secret', `it has fewer than ${shortestSecret} bytes and could be guessed`);
			if (algorithm !== undefined && algorithm !== 'hmac-sha256')
				refuse('algorithm', `${algorithm} signs with a private key; a secret is for hmac-sha256`);
		}
		const key = privateKey === undefined ? undefined : readKey(privateKey);
		if (privateKey !== undefined && key === undefined)
			refuse('privateKey', 'it is no private key in PEM that is not encrypted');
		if (key !== undefined) {
			const suited = algorithmsOf(key);
			if (suited.length === 0)
				refuse(
					'privateKey',
					'there is no algorithm for such a key; make one for Ed25519, P-256, P-384 or RSA',
				);
			else if (algorithm !== undefined && !suited.includes(algorithm))
				refuse('algorithm', `the key is for ${suited.join(' or ')}`);
		}
		const parsed = (components ?? []).map(parseComponent);
		for (const [index, component] of parsed.entries()) {
			if (component === undefined)
				refuse(
					'components',
					'write a header, or one such as @method, @path or @query-param;name="page"',
					index,
				);
			else if (parsed.findIndex(other => other?.identifier === component.identifier) !== index)
				refuse('components', 'it is there twice', index);
		}
		if (digest === 'none' && parsed.some(component => component?.name === 'content-digest'))
			refuse('digest', "content-digest is among the 'components': leave 'digest' out, or name a hash");
	});

export type SignatureOptions = z.output<typeof signatureOptions>;

/** The key, which the schema has found to be one. */
export function keyOf({privateKey, secret}: SignatureOptions): KeyObject {
	return privateKey === undefined
		? createSecretKey(Buffer.from(secret as string, 'base64'))
		: createPrivateKey(privateKey);
}

function readKey(text: string): KeyObject | undefined {
	try {
		return createPrivateKey(text);
	} catch {
		return undefined;
	}
}
