/** The options that `kerberos` and `kerberos-stub` share. */
import {z} from 'zod';

const shape = z.strictObject({
	mutualAuthentication: z
		.enum(['required', 'optional', 'disabled'])
		.default('required')
		.describe('Whether the server has to prove its identity'),
	service: z.string().min(1).default('HTTP').describe("The service in the server's principal"),
	hostname: z
		.string()
		.min(1)
		.optional()
		.describe("The host in the server's principal. Default: that of the URL"),
	principal: z
		.string()
		.min(1)
		.optional()
		.describe('The principal to act as. Default: that of the credential'),
	credentialCache: z
		.string()
		.min(1)
		.optional()
		.describe('Where tickets are kept, such as FILE:/tmp/krb5cc_0'),
	keytab: z.string().min(1).optional().describe("A file with the principal's keys"),
	password: z.string().min(1).optional().describe("The principal's password"),
	delegate: z
		.union([z.boolean(), z.literal('policy')])
		.default(false)
		.describe('Whether the server may act for the principal: policy, only where the KDC trusts it'),
	preemptive: z
		.boolean()
		.default(false)
		.describe('Send the token at once instead of waiting for a challenge'),
	sanitizeErrorResponse: z
		.boolean()
		.default(true)
		.describe(
			'Deliver an error of a server that did not prove itself without body, cookies and most headers',
		),
	channelBindings: z
		.union([z.boolean(), z.literal('required')])
		.default(true)
		.describe('Tie the exchange to the TLS connection (RFC 5929)'),
	mechanism: z.enum(['spnego', 'krb5']).default('spnego').describe('The GSS-API mechanism'),
	canonicalizeHostname: z
		.boolean()
		.default(false)
		.describe('Use the canonical name that DNS gives for the host'),
	timeout: z.int().positive().default(10_000).describe('Milliseconds for one call of the Kerberos library'),
	library: z
		.string()
		.min(1)
		.optional()
		.describe('The GSS-API library: mit, heimdal, or a file. Default: the first that is there'),
	proxy: z
		.union([z.boolean(), z.url({protocol: /^http$/})])
		.default(false)
		.describe(
			"Answer a proxy (407) instead of the server (401): the proxy's URL, or true where it is reached by other means",
		),
});

export const kerberosOptions = shape.superRefine((options, context) => {
	const complain = (path: keyof z.output<typeof shape>, message: string): void =>
		context.addIssue({code: 'custom', path: [path], message});
	const {keytab, password, principal, proxy, hostname, credentialCache, delegate, channelBindings} = options;
	if (keytab !== undefined && password !== undefined) {
		complain('password', "'keytab' and 'password' exclude each other");
	}
	if (password !== undefined && principal === undefined) {
		complain('password', "'password' needs 'principal'");
	}
	if (password !== undefined && credentialCache !== undefined) {
		complain('password', "tickets from 'password' stay in memory: leave 'credentialCache' out");
	}
	if (proxy === true && hostname === undefined) {
		complain('proxy', "'proxy: true' needs 'hostname', the proxy's host; or give the proxy's URL");
	}
	// A proxy is spoken to over plain http.
	if (proxy !== false && delegate === true) complain('delegate', 'a proxy is not to act for the principal');
	if (proxy !== false && channelBindings === 'required') {
		complain('channelBindings', 'there are none with a proxy: it is spoken to before there is any TLS');
	}
});

export type KerberosOptions = z.output<typeof kerberosOptions>;
