/** The options of `grid-certificate`. Without any, the certificate is searched for. */
import {z} from 'zod';

export const gridCertificateOptions = z
	.strictObject({
		certificate: z.string().min(1).optional().describe('PEM file of the certificate and its chain'),
		key: z.string().min(1).optional().describe('PEM file of the private key'),
		passphrase: z.string().optional().describe('What the private key is encrypted with'),
		directory: z.string().min(1).optional().describe('A folder that holds usercert.pem and userkey.pem'),
	})
	.refine(({certificate, key}) => (certificate === undefined) === (key === undefined), {
		error: "'certificate' and 'key' belong together; name both, or neither",
	})
	.refine(({certificate, directory}) => certificate === undefined || directory === undefined, {
		error: "'certificate' and 'directory' name two places; take one of them out",
	});
