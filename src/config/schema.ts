/** The shape of a configuration. The JSON Schema that editors use (`gatepass/schema.json`) is generated from here. */
import {z} from 'zod';

const oneOrMore = <Item extends z.ZodType>(item: Item) => z.union([item, z.array(item).min(1)]);

const pattern = z.string().describe('[scheme://]host[:port][/path]; the scheme is https when left out');

const milliseconds = z.int().positive();

const proxy = z.string().min(1);

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
	proxy: proxy.optional().describe('The way out to these URLs, instead of the one of the configuration'),
	connectionBound: z
		.boolean()
		.optional()
		.describe(
			'The server takes a whole connection for the user of its first request: use one for each credential',
		),
});

export const trustSchema = z.strictObject({
	match: oneOrMore(pattern).describe('The servers that are verified with these CA certificates'),
	ca: oneOrMore(z.string().min(1)).describe(
		'A PEM file, a hashed CA folder, bundle:NAME, grid (the CA folder of the grid), spiffe (the bundles of the SPIFFE Workload API, also spiffe:ADDRESS), system (the store of the operating system), or a list of them',
	),
	only: z.boolean().optional().describe("Leave the system's roots and Node's out"),
	spiffeIds: z
		.array(
			z
				.string()
				.regex(
					/^spiffe:\/\/[a-z\d._-]+(?:\/[\w.-]+)*$/,
					'it is no SPIFFE ID; write one such as spiffe://example.org/server, or a trust domain such as spiffe://example.org',
				),
		)
		.min(1)
		.optional()
		.describe("Who the servers may be, in place of their host's name; goes with 'ca: spiffe'"),
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
	encryptionKey: z
		.union([z.string().min(1), z.array(z.string()).min(1)])
		.optional()
		.describe(
			'What tokens are encrypted with in the store: base64 of 32 bytes, or a list, of which the first encrypts and all decrypt; a later one may be empty',
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

const port = z.int().min(1).max(65_535).optional();
const command = z.string().min(1);
const text = z.string().min(1);

/** Names other than these are those of plug-ins, whose options are their own. */
const plugIn = (known: readonly string[]) =>
	z.looseObject({
		name: z.string().refine(name => !known.includes(name), 'its options are wrong'),
	});

const authenticators = [
	z.strictObject({name: z.literal('http-01'), address: text.optional(), port}),
	z.strictObject({name: z.literal('webroot'), path: text, paths: z.record(text, text).optional()}),
	z.strictObject({name: z.literal('tls-alpn-01'), address: text.optional(), port}),
	z.strictObject({name: z.literal('dns-command'), auth: command, cleanup: command.optional()}),
	z.strictObject({
		name: z.literal('dns-update'),
		credentials: text.optional(),
		server: text.optional(),
		port,
		keyName: text.optional(),
		secret: text.optional(),
		algorithm: z
			.enum(['hmac-md5', 'hmac-sha1', 'hmac-sha224', 'hmac-sha256', 'hmac-sha384', 'hmac-sha512'])
			.optional(),
		ttl: z.int().min(0).max(86_400).optional(),
		propagation: milliseconds.optional(),
	}),
	z.strictObject({name: z.literal('dns-persist-01')}),
	z.strictObject({name: z.literal('manual')}),
] as const;

const webServer = <Name extends string>(name: Name) =>
	z.strictObject({
		name: z.literal(name),
		configuration: text.optional(),
		testCommand: command.optional(),
		reloadCommand: command.optional(),
		port,
	});

const installers = [
	z.strictObject({name: z.literal('identity')}),
	z.strictObject({
		name: z.literal('files'),
		certificate: text,
		key: text,
		chain: text.optional(),
		owner: text.optional(),
		group: text.optional(),
		mode: z
			.string()
			.regex(/^0?[0-7]{3}$/, 'it is no mode; write octal digits in quotes, such as "640"')
			.optional(),
		reloadCommand: command.optional(),
	}),
	webServer('nginx'),
	webServer('apache'),
] as const;

export const certificatesSchema = z.strictObject({
	server: z.url().optional().describe('The directory of the ACME server'),
	folder: text
		.optional()
		.describe(
			"Where certificates are kept, in certbot's layout. Default: /etc/letsencrypt for root, else ~/.config/gatepass/letsencrypt",
		),
	email: z.email().optional().describe('Where the authority sends its mail'),
	termsOfServiceAgreed: z.boolean().optional().describe("Whether the server's terms are agreed to"),
	jitter: z.int().min(0).optional().describe('Milliseconds, of which each renewal waits for a random part'),
	timeout: milliseconds.optional().describe('Milliseconds for one request to the server. Default: 60000'),
	authenticator: z
		.union([...authenticators, plugIn(authenticators.map(({shape}) => shape.name.value))])
		.optional()
		.describe('How challenges are answered'),
	installer: z
		.union([...installers, plugIn(installers.map(({shape}) => shape.name.value))])
		.optional()
		.describe('What a renewed certificate is put into'),
	hooks: z
		.strictObject({before: command.optional(), deploy: command.optional(), after: command.optional()})
		.optional()
		.describe('Commands around a renewal'),
	profile: text.optional().describe('One of the profiles that the server offers'),
	preferredChain: text.optional().describe('The name of an issuer that is to be in the chain'),
	keyType: z
		.enum(['ecdsa', 'ecdsa-p384', 'rsa', 'rsa-3072', 'rsa-4096'])
		.optional()
		.describe('Default: ecdsa, on P-256'),
	reuseKey: z.boolean().optional().describe('Keep the key over renewals'),
	externalAccountBinding: z
		.strictObject({kid: text, hmacKey: text, algorithm: z.enum(['HS256', 'HS384', 'HS512']).optional()})
		.optional()
		.describe('What ties the account to one that the authority knows otherwise'),
	renewalInformation: z
		.boolean()
		.optional()
		.describe('Whether the server is asked when to renew (RFC 9773). Default: true'),
	identityOnly: z
		.boolean()
		.optional()
		.describe('Refuse what is not for clients. Default: true where the installer is identity'),
});

export const serveSchema = z.strictObject({
	listen: text
		.optional()
		.describe('Where the local proxy listens: HOST:PORT, or unix:PATH. Default: 127.0.0.1:8642'),
	routes: z
		.record(z.string(), z.string())
		.optional()
		.describe('Paths of the local proxy, each with the URL that it leads to'),
	forward: z
		.boolean()
		.optional()
		.describe('Whether it is a forward proxy too: http:// by whole URL, https:// by CONNECT. Default: false'),
	intercept: z
		.enum(['rules', 'off'])
		.optional()
		.describe(
			'rules: CONNECT to a host with a rule is opened, with a CA of its own. off: every tunnel is left alone. Default: rules',
		),
	pinned: z
		.array(pattern)
		.optional()
		.describe('Hosts whose tunnels are left alone all the same: for programs that insist on a certificate'),
	secret: z
		.string()
		.min(32, 'it is too short; write at least 32 characters, such as `openssl rand -hex 32` prints')
		.optional()
		.describe('What clients have to show. Default: GATEPASS_SECRET, or one that is made at each start'),
	allowLocalUsers: z
		.boolean()
		.optional()
		.describe('Leave for every local user to use the credentials: no secret is asked for. Default: false'),
	redirects: z
		.enum(['follow', 'return'])
		.optional()
		.describe('What becomes of a redirect of a route to another host. Default: return'),
	tls: z
		.strictObject({certificate: text, key: text})
		.optional()
		.describe('PEM files with which clients are served over TLS; needed beyond this machine'),
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
	certificates: certificatesSchema.optional().describe('Certificates that renew themselves'),
	serve: serveSchema.optional().describe('The local proxy: `gatepass serve` and `gatepass run`'),
	strict: z
		.boolean()
		.optional()
		.describe('Whether a request that no host rule matches is an error. Default: it is sent as it is'),
	proxy: proxy
		.optional()
		.describe(
			'The way out: the URL of a proxy, environment (what HTTPS_PROXY, HTTP_PROXY and NO_PROXY say), or none. Default: environment where Node is told to heed it (NODE_USE_ENV_PROXY=1)',
		),
	hostRules: z
		.array(hostRuleSchema)
		.optional()
		.describe('Which URL is authenticated how; the most specific rule wins'),
});

/** A configuration as a user writes it. */
export type ConfigurationInput = z.input<typeof configurationSchema>;
