/** Channel bindings of the type `tls-server-end-point` (RFC 5929 section 4). */
import {createHash, X509Certificate} from 'node:crypto';
import {KerberosExchangeError} from '../../src/errors.ts';
import type {AuthRequest, RuleInfo} from '../../src/strategy/index.ts';
import type {KerberosOptions} from './options.ts';
import {signatureHash} from './signature-hash.ts';

/** Whether a token is made for one connection, which has to be there before. */
export function isTied(
	{url}: Pick<AuthRequest, 'url'>,
	{channelBindings, proxy}: Pick<KerberosOptions, 'channelBindings' | 'proxy'>,
): boolean {
	return channelBindings !== false && !proxy && url.protocol === 'https:';
}

/** What ties the exchange to the connection that the next leg uses; nothing over plain http, or where it is off. */
export async function bindingsFor(
	request: Pick<AuthRequest, 'url' | 'openConnection'>,
	{channelBindings, timeout, proxy}: Pick<KerberosOptions, 'channelBindings' | 'timeout' | 'proxy'>,
	rule: RuleInfo,
): Promise<Uint8Array | undefined> {
	// A proxy is spoken to before there is any TLS to the server.
	if (channelBindings === false || proxy) return undefined;
	const certificate =
		request.url.protocol === 'https:'
			? (await request.openConnection(timeout))?.serverCertificate
			: undefined;
	const bindings = certificate === undefined ? undefined : tlsServerEndPoint(certificate);
	if (bindings !== undefined || channelBindings !== 'required') return bindings;
	const reason =
		request.url.protocol === 'https:'
			? certificate === undefined
				? "the connection's certificate is not known beforehand"
				: "the certificate's signature algorithm names no hash function"
			: `${request.url.origin} is plain http`;
	throw new KerberosExchangeError({
		code: 'channel-bindings-impossible',
		what: `The rule for ${rule.match} (${rule.source}) requires channel bindings, and ${reason}`,
		hint: "Use https with gatepass.got, or set 'channelBindings: true', which does without them where it must",
	});
}

/** The application data for a server's certificate in DER; `undefined` where RFC 5929 defines none. */
export function tlsServerEndPoint(certificate: Uint8Array): Uint8Array | undefined {
	const hash = signatureHash(certificate);
	if (hash === undefined) return undefined;
	const digest = createHash(hash).update(new X509Certificate(certificate).raw).digest();
	return Buffer.concat([Buffer.from('tls-server-end-point:'), digest]);
}
