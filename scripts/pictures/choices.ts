/**
 * Which strategy suits a host: what the host wants, and then what one has. The picture and the table of
 * docs/which-strategy.md are both made from this.
 */

/** What one has, and the strategy that shows it. */
export interface Choice {
	/** Short enough for a line of the picture. */
	readonly have: string;
	readonly strategy: string;
	/** The option that makes the difference, where the strategy alone does not. */
	readonly option?: string;
}

export interface Want {
	/** What the host wants to be shown. */
	readonly wants: string;
	/** How it says so, to a request without a credential. Markdown. */
	readonly sign: string;
	readonly choices: readonly Choice[];
}

export const wants: readonly Want[] = [
	{
		wants: 'a client certificate',
		sign: 'the TLS handshake ends with an alert (`certificate required`, `handshake failure`), or a 401 or 403 comes without a challenge; `openssl s_client -connect HOST:443` then lists the names of the CAs whose certificates it takes',
		choices: [
			{have: 'files, a PKCS#12 file or a grid proxy', strategy: 'grid-certificate'},
			{have: 'an ACME server that issues it', strategy: 'grid-certificate', option: 'lineage'},
			{have: 'a SPIFFE agent on this machine', strategy: 'spiffe'},
			{have: 'a program that prints it', strategy: 'command', option: 'format: exec-credential'},
		],
	},
	{
		wants: 'a bearer token',
		sign: '401 with `WWW-Authenticate: Bearer`, or a redirect to a login page',
		choices: [
			{have: "a client's secret, key or certificate", strategy: 'sso-client-credentials'},
			{
				have: "the platform's assertion: Kubernetes, a CI",
				strategy: 'sso-client-credentials',
				option: 'clientAssertion',
			},
			{have: "a service account's key", strategy: 'sso-jwt-bearer'},
			{have: 'a token for something else', strategy: 'sso-token-exchange'},
			{have: 'a token where the grid keeps it', strategy: 'wlcg-token'},
			{have: "oidc-agent with a person's login", strategy: 'oidc-agent'},
			{have: 'a program that prints it', strategy: 'command'},
			{have: 'a storage that issues macaroons', strategy: 'macaroon'},
			{have: 'a token that never changes', strategy: 'static-token', option: 'token'},
		],
	},
	{
		wants: 'a Kerberos ticket',
		sign: '401 with `WWW-Authenticate: Negotiate`',
		choices: [
			{have: 'a ticket, a key table or a password', strategy: 'kerberos'},
			{have: 'no realm, while developing', strategy: 'kerberos-stub'},
		],
	},
	{
		wants: 'a user and a password',
		sign: '401 with `WWW-Authenticate: Digest` or `Basic`; of both, take Digest',
		choices: [
			{have: 'a server that asks for Digest', strategy: 'digest'},
			{have: 'a server that asks for Basic', strategy: 'static-token', option: 'username, password'},
		],
	},
	{
		wants: 'an API key',
		sign: 'its documentation names a header or a query parameter; a 401 or 403 mostly comes without a challenge',
		choices: [
			{have: 'a key for a header', strategy: 'static-token', option: 'header, value'},
			{have: 'a key for the query', strategy: 'static-token', option: 'query, value'},
		],
	},
	{
		wants: 'a signed request',
		sign: '403 with `MissingAuthenticationToken` or `AccessDenied` (AWS, S3), or the documentation names RFC 9421',
		choices: [
			{have: 'a key of AWS or of an S3 store', strategy: 'aws-sigv4'},
			{have: 'a key that the server knows (RFC 9421)', strategy: 'http-signature'},
		],
	},
	{
		wants: 'one of several',
		sign: 'it takes certificates and tokens alike, and machines differ in what they have',
		choices: [{have: 'not the same on each machine', strategy: 'chain'}],
	},
	{
		wants: 'nothing',
		sign: 'it answers without a credential',
		choices: [{have: 'a wider rule that would cover it', strategy: 'none'}],
	},
];
