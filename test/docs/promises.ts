/**
 * The tests of each promise of SECURITY.md, by the words that its sentence begins with: tests of what a user would see, not
 * of a mechanism, that fail where the code behind them is broken. Try that before one is put here. `promises.test.ts` holds
 * that no promise is without, and that the tests are there.
 */

/** A file below `test`, and titles of tests in it as they are written there, or beginnings of them. */
type Tests = readonly (readonly [file: string, ...titles: string[]])[];

/** `none`: it says what is not promised. */
export const promises: Readonly<Record<string, Tests | 'none'>> = {
	'A credential goes only where its rule says.': [
		[
			'transports/redirects.test.ts',
			'nothing goes along: $name',
			'a host with a rule for %s gets its own credential',
		],
	],
	'The rule is chosen for each hop': [
		['transports/redirects.test.ts', 'there and back again'],
		[
			'transports/undici/conversations.test.ts',
			'a path that looks like another host stays behind the origin',
		],
		[
			'hop/router.test.ts',
			'what was chosen for one path, method or trust store of an origin is not for another',
		],
	],
	'What a strategy added is gone': [['transports/redirects.test.ts', 'nothing goes along: $name']],
	'A URL without a rule gets nothing.': [
		['transports/redirects.test.ts', 'the same origin without a rule gets nothing'],
	],
	'`Cookie`, `Authorization` and a client certificate': [
		['transports/callers-credentials.test.ts', 'headers stay behind: %s', 'a certificate in'],
	],
	'Nor do they with fetch': [
		[
			'transports/callers-credentials.test.ts',
			'headers stay behind: %s',
			'a certificate in a dispatcher',
			'%s, without any rule or trust store: it stays behind',
		],
	],
	'No credential over plain http': [
		['config/all-at-once.test.ts', '%s needs leave', 'leave holds for the token endpoint too'],
		['strategies/sso-protocol-discovery.test.ts', 'an insecure'],
	],
	'Connections are not shared between identities.': [
		['identities/fifty-identities.test.ts', 'all at once, over %s'],
		['transports/undici/connections.test.ts', 'a hundred at once with two identities'],
	],
	'Each pair of client certificate and trust store': [
		['identities/fifty-identities.test.ts', 'in turn, over %s'],
		['tls/trust-stores-apart.test.ts', 'with %s', 'the client secret goes to no token endpoint'],
	],
	'For undici, whose pools know origins only': [
		[
			'transports/undici/connections.test.ts',
			'each identity has connections of its own',
			'each owner has connections',
		],
		['transports/undici/ways.test.ts', '$what'],
		[
			'transports/connection-bound.test.ts',
			'two rules for one server',
			'two tenants of one rule',
			'a rule beside one',
		],
		['strategies/macaroon.test.ts', 'its connections are shown to nobody else'],
		['strategies/kerberos.test.ts', 'a connection that the server binds to one principal'],
	],
	'HTTP/2, which sends many requests at once': [
		['transports/undici/connections.test.ts', 'HTTP/2 where no identity is involved'],
	],
	'The client secret goes to a server': [
		['config/bundles.test.ts', 'without the bundle, no server is the default'],
	],
	'It does not follow a redirect': [
		['strategies/sso-bad-input.test.ts', '%i: a redirect is not followed, and the secret stays'],
	],
	'Nor does it appear in an error': [
		['strategies/sso-bad-input.test.ts', 'that repeats what it was sent', 'that repeats the secret'],
		['observability/redact.test.ts', 'a secret is hidden'],
	],
	'Of secrets with fewer than four characters': 'none',
	'No secret in what is printed': [
		['transports/secrets.test.ts', '%s over %s: %s'],
		['observability/secrets.test.ts', 'no canary is in what gatepass tells'],
	],
	'What is kept of one answer': [['transports/got/detached.test.ts', 'the next request of another']],
	'Values that came from variables or files': [
		['config/options.test.ts', 'nor one from outside: %s'],
		['identities/content-for-name.test.ts', 'in the option %s of a rule'],
		['config/yaml.test.ts', 'each tag is told, with its place and without what stands there'],
	],
	'Answers to authenticated requests are not cached': [
		['transports/got/got.test.ts', 'answers to authenticated requests are not kept in a cache'],
	],
	'Over undici they are marked': [
		['transports/undici/intercept.test.ts', 'outside of gatepass gives nobody the answer of somebody else'],
		['transports/undici/leg-ahead.test.ts', 'an answer that is no refusal needs no conversation'],
		['transports/undici/conversations.test.ts', 'and marked as not to be kept'],
	],
	'[Requests that undici': 'none',
	'A server that has to prove itself': [
		['strategies/kerberos-stub.test.ts', 'by what the rule demands'],
		['strategies/kerberos-proof.test.ts', ''],
	],
	"One request's success": [['strategies/kerberos-stub.test.ts', 'every request proves its own server']],
	'A flow says so': [['transports/flow.test.ts', 'an answer that is not proven']],
	'A store of tokens that is private': [
		['tokens/sqlite-store.test.ts', 'file 0600 and folder 0700, whatever the umask'],
	],
	'A file that others may read is narrowed': [['tokens/private-file.test.ts', 'tokens.sqlite%s']],
	'One that belongs to another user': [
		[
			'tokens/private-file.test.ts',
			'a link is refused',
			'what is no regular file',
			'what belongs to somebody else',
		],
	],
	'`forget` leaves no token': [['tokens/forgotten.test.ts', 'forget leaves no token in the files']],
	'Bounded input': [
		[
			'strategies/sso-bad-input.test.ts',
			'an answer that is too much',
			'for longer than the time limit',
			'whose description of 120 kB',
		],
		['strategies/command.test.ts', 'one that prints without end is stopped', 'one that waits for ever'],
		['identities/checks.test.ts', '3 GB, before anything of it is read', 'a named pipe'],
		['strategies/kerberos-bad-input.test.ts', 'what is no regular file is not opened: %s'],
		['config/interpolation.test.ts', '%s is a mistake'],
		['strategies/token-files.test.ts', 'that is %s is refused at once'],
		[
			'config/finding.test.ts',
			'a pipe or a file without end',
			'a .env that is a named pipe, or too large',
			'a .env of empty lines without end',
		],
		['config/yaml.test.ts', 'a text that is nested without end', 'aliases that unfold without end'],
		['transports/conversations.test.ts', 'more than ten are a StrategyError'],
		['transports/request-body.test.ts', 'larger than the limit'],
		['transports/response-body.test.ts', 'a larger one is not seen'],
		['tokens/retry-after.test.ts', 'it is heeded for ten minutes at most'],
		['tokens/most-tokens.test.ts', 'of 100,000 tokens and more'],
		['strategies/challenge.test.ts', 'the time it takes grows with the length, and no faster'],
	],
	'A configuration in YAML or JSON takes': [
		['config/yaml.test.ts', 'takes a time that grows with its length and no faster: %s'],
	],
	'What an encrypted key or PKCS#12 file asks for': [
		[
			'identities/key-derivation.test.ts',
			'the rounds of all keys in a PEM file are summed',
			'the rounds of all bags in a PKCS#12 file are summed',
			'numbers that make none do not switch the bound off',
		],
		[
			'x509/keys.test.ts',
			'a key that asks for more rounds than anybody waits for',
			'others run while a key is derived',
		],
		['x509/pkcs12.test.ts', 'one with as many rounds as browsers ask for lets other things run meanwhile'],
	],
	'A revocation list has at most 64 MiB': [
		['trust/servers.test.ts', 'one of more than 64 MiB is not read'],
		['http/fetch-file.test.ts', 'as much as that is fetched, and no byte more'],
		['trust/hostile-lists.test.ts', '%s'],
	],
	'A server is verified on every connection': [
		['tls/impostors.test.ts', 'a token endpoint gets no client secret', 'in a dispatcher'],
		['trust/ways.test.ts', 'NODE_TLS_REJECT_UNAUTHORIZED is not heeded'],
	],
	"What got's options allow one request": [
		['tls/impostors.test.ts', 'what is allowed one request', 'does not hold for the next request'],
	],
	"A dispatcher of undici's that does not verify": [
		['transports/undici/connections.test.ts', '%s: no credential is sent'],
	],
	'What `flow` and `authorize` give for TLS': [['tls/other-clients.test.ts', 'an impostor is refused']],
	'[Revocation lists and name rules]': [
		[
			'trust/servers.test.ts',
			'one that is outdated',
			'one that cannot be used',
			'a signing policy',
			'no session of %s is resumed',
		],
		['trust/fetched-lists.test.ts', 'one of the future'],
	],
	"No configuration of somebody else's": [
		['config/ownership.test.ts', 'what belongs to another user', 'a .env and a strategy module beside it'],
	],
	"A group that is this user's own": [
		[
			'config/ownership.test.ts',
			"what only this user's own group may write to",
			"what another group than the user's own",
		],
	],
	'A client certificate that cannot be shown': [['tls/not-shown.test.ts', '']],
	'Of keys of RSA-PSS': 'none',
	'The local proxy serves its user only': [
		['serve/secret.test.ts', 'it has 256 bits'],
		['serve/attacks-local-user.test.ts', 'the Unix socket, the key of the CA and the tokens are not theirs'],
		['serve/attacks-local-user.test.ts', 'the proxy of a command is for its user alone'],
		['serve/forward.test.ts', 'shows the server nothing of the proxy'],
	],
	'A socket that systemd hands over': [['serve/service.test.ts', 'is refused %s']],
	'No web page': [
		['serve/reverse.test.ts', 'keeps web pages out'],
		['serve/attacks-targets.test.ts', '%s is not gone to', '%s is looked at when it is connected to'],
	],
	'A request that can be read in two ways': [['serve/attacks-smuggling.test.ts', 'is refused']],
	'The headers and trailers of a credential': [
		['serve/attacks-reflected.test.ts', 'neither a header nor a trailer of a credential comes back'],
	],
	'Its CA is for the hosts of the rules only.': [
		['serve/forward.test.ts', 'is for the hosts of the rules and no others'],
	],
	'A proxy on the way out is shown': [
		['serve/upstream-proxy.test.ts', 'gets nothing by a rule with a star', 'may not be the proxy itself'],
	],
	'[How]': 'none',
};
