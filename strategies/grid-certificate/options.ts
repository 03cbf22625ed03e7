/** The options of `grid-certificate`. Without any, the certificate is searched for. */
import {z} from 'zod';
import {isFileContent} from '../../src/strategy/index.ts';

const path = z
	.string()
	.min(1)
	.refine(written => !isFileContent(written), {
		error: 'holds text where the name of a file belongs; write it into a file, and name that',
	})
	.optional();

export const gridCertificateOptions = z
	.strictObject({
		certificate: path.describe('File of the certificate and its chain, PEM or DER'),
		key: path.describe('File of the private key, PEM or DER'),
		pkcs12: path.describe('PKCS#12 file (.p12, .pfx), which holds both'),
		proxy: path.describe('Proxy file (RFC 3820), which holds both and the chain'),
		passphrase: z
			.string()
			.optional()
			.describe('What the private key or the PKCS#12 file is encrypted with: ${NAME}, or ${file:/path}'),
		directory: path.describe('A folder that holds usercert.pem and userkey.pem, or usercred.p12'),
		lineage: path.describe('The name of a certificate that gatepass or certbot renews'),
		alias: z
			.string()
			.min(1)
			.optional()
			.describe(
				'Which of several identities in the file: its alias (friendlyName). Default: the latest valid one',
			),
		thumbprint: z
			.string()
			.regex(/^(?:[0-9a-fA-F]{2}:?){19}(?:(?:[0-9a-fA-F]{2}:?){12})?[0-9a-fA-F]{2}$/, {
				error: 'is no SHA-256 or SHA-1 in hexadecimal digits',
			})
			.optional()
			.describe('Likewise, the SHA-256 or SHA-1 of its certificate, in hexadecimal digits'),
		requireRobot: z.boolean().optional().describe('Take no certificate but one of a robot'),
	})
	.superRefine((options, context) => {
		for (const [option, message] of mistakesIn(options)) {
			context.addIssue({code: 'custom', path: [option], message});
		}
	});

type Options = Readonly<
	Partial<Record<'certificate' | 'key' | 'pkcs12' | 'proxy' | 'directory' | 'lineage', string | undefined>>
>;

/** What is wrong with a combination of options, as `[option, sentence]`; nothing where it is right. */
function mistakesIn({
	certificate,
	key,
	pkcs12,
	proxy,
	directory,
	lineage,
}: Options): [keyof Options, string][] {
	const mistakes: [keyof Options, string][] = [];
	if ((certificate === undefined) !== (key === undefined)) {
		const [named, missing] =
			key === undefined ? (['certificate', 'key'] as const) : (['key', 'certificate'] as const);
		mistakes.push([
			named,
			`'certificate' and 'key' belong together; add '${missing}', which may name the same file`,
		]);
	}
	const pair = certificate === undefined ? {key} : {certificate};
	const places = Object.entries({...pair, pkcs12, proxy, directory, lineage}).filter(
		([, file]) => file !== undefined,
	);
	const [, second] = places;
	if (second !== undefined) {
		const names = places.map(([name]) => `'${name}'`).join(' and ');
		mistakes.push([second[0] as keyof Options, `${names} name different places; keep one of them`]);
	}
	return mistakes;
}
