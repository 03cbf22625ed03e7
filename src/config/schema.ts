/** The shape of a configuration. The JSON Schema that editors use (`gatepass/schema.json`) is generated from here. */
import {z} from 'zod';

const oneOrMore = <Item extends z.ZodType>(item: Item) => z.union([item, z.array(item).min(1)]);

const pattern = z.string().describe('[scheme://]host[:port][/path]; the scheme is https when left out');

const milliseconds = z.int().positive();

export const hostRuleSchema = z.strictObject({
	match: oneOrMore(pattern).describe('The URLs of this rule: one pattern or several'),
	methods: z
		.array(z.string().regex(/^[A-Za-z-]+$/, 'it is no HTTP method; write a word such as GET'))
		.min(1)
		.optional()
		.describe('Only these HTTP methods'),
	strategy: z.string().min(1).describe('How requests to these URLs are authenticated'),
	options: z.record(z.string(), z.unknown()).optional().describe("The strategy's options"),
	tenant: z
		.string()
		.min(1)
		.optional()
		.describe('Keeps the tokens of this rule apart from those of other tenants'),
	allowInsecure: z.boolean().optional().describe('Leave to send the credential over plain http'),
});

export const trustSchema = z.strictObject({
	match: oneOrMore(pattern).describe('The servers that are verified with these CA certificates'),
	ca: oneOrMore(z.string().min(1)).describe(
		'A PEM file, a hashed CA folder, bundle:NAME, grid (the CA folder of the grid), system (the store of the operating system), or a list of them',
	),
	only: z.boolean().optional().describe("Leave the system's roots and Node's out"),
	crl: z
		.enum(['check', 'require'])
		.optional()
		.describe(
			'Revocation lists: check (where there is one) or require (refuse a server whose CA has none). Default: check',
		),
});

export const cacheSchema = z.strictObject({
	url: z
		.string()
		.min(1)
		.optional()
		.describe(
			'Where tokens are kept: sqlite:FILE, memory:, redis://…, rediss://… or postgres://…. Default: sqlite:~/.cache/gatepass/tokens.sqlite',
		),
	encryptionKey: oneOrMore(z.string().min(1))
		.optional()
		.describe(
			'What tokens are encrypted with in the store: base64 of 32 bytes, or a list, of which the first encrypts and all decrypt',
		),
	encryption: z.literal('off').optional().describe('Leave to keep tokens in a shared store as they are'),
});

export const tokenRequestSchema = z.strictObject({
	timeout: milliseconds
		.optional()
		.describe('Milliseconds for a token request with all its retries. Default: 10000'),
	retries: z
		.int()
		.min(0)
		.max(10)
		.optional()
		.describe('How often a token request that failed on the way is repeated. Default: 2'),
});

export const configurationSchema = z.strictObject({
	$schema: z.string().optional().describe('For editors; not used'),
	bundles: z
		.array(z.string().min(1))
		.optional()
		.describe(
			'Presets of organisations: cern, igtf, or folders of your own. They bring CA certificates and default options',
		),
	strategies: z
		.array(z.string().min(1))
		.optional()
		.describe('Modules that export strategies: paths or packages'),
	cache: cacheSchema.optional().describe('The token cache'),
	tokenRequest: tokenRequestSchema.optional().describe('How tokens are fetched'),
	trust: z.array(trustSchema).optional().describe("CA certificates by server, besides the system's"),
	hostRules: z
		.array(hostRuleSchema)
		.optional()
		.describe('Which URL is authenticated how; the most specific rule wins'),
});

/** A configuration as a user writes it. */
export type ConfigurationInput = z.input<typeof configurationSchema>;
