/** When an authority wants a certificate renewed (RFC 9773). */
import type {X509Certificate} from 'node:crypto';
import {AcmeError} from '../../errors.ts';
import {childrenOf, readElement} from '../../x509/der.ts';
import {findExtension} from '../../x509/extensions.ts';
import type {AcmeConnection} from './connection.ts';
import {readProblem, refusal, waitAskedFor} from './problem.ts';

/** The window in which to renew; milliseconds since 1970. */
export interface RenewalInformation {
	readonly start: number;
	readonly end: number;
	/** Why the window is as it is, for people. */
	readonly explanationUrl?: string;
	/** Milliseconds after which to ask again: between a minute and a day, by default six hours. */
	readonly retryAfter: number;
}

const [shortestWait, usualWait, longestWait] = [60_000, 6 * 3_600_000, 86_400_000];

/**
 * The identifier of RFC 9773 section 4.1, made of the key identifier of the certificate's issuer and its serial number;
 * `undefined` for a certificate that names no key identifier.
 */
export function renewalIdentifier(certificate: X509Certificate): string | undefined {
	const extension = findExtension(certificate, '2.5.29.35');
	const list = extension && readElement(extension);
	// Context-specific and primitive: the key identifier is part `[0]` (RFC 5280 section 4.2.1.1).
	const keyIdentifier = list && childrenOf(extension, list).find(({tag}) => tag === 0x80);
	if (extension === undefined || keyIdentifier === undefined) return undefined;
	return [extension.subarray(keyIdentifier.begin, keyIdentifier.end), serialNumberOf(certificate)]
		.map(bytes => bytes.toString('base64url'))
		.join('.');
}

/** As in the certificate: with a zero in front where it would be negative. */
function serialNumberOf({serialNumber}: X509Certificate): Buffer {
	const bytes = Buffer.from(
		serialNumber.padStart(serialNumber.length + (serialNumber.length % 2), '0'),
		'hex',
	);
	return (bytes[0] ?? 0) < 0x80 ? bytes : Buffer.concat([Buffer.of(0), bytes]);
}

/** `undefined` where the authority gives none, or the certificate has no identifier. */
export async function fetchRenewalInformation(
	connection: AcmeConnection,
	certificate: X509Certificate,
	signal?: AbortSignal,
): Promise<RenewalInformation | undefined> {
	const {renewalInfo} = await connection.directory();
	const identifier = renewalIdentifier(certificate);
	if (renewalInfo === undefined || identifier === undefined) return undefined;
	const {status, body, headers} = await connection.get(
		`${renewalInfo.replace(/\/$/, '')}/${identifier}`,
		signal,
	);
	if (status === 404) return undefined;
	if (status !== 200) {
		throw refusal(connection.place, 'gave no renewal information', readProblem(body), {
			status,
			retryAfter: waitAskedFor(headers),
		});
	}
	const {suggestedWindow, explanationURL} = (body ?? {}) as {
		suggestedWindow?: {start?: string; end?: string};
		explanationURL?: unknown;
	};
	const [start, end] = [suggestedWindow?.start, suggestedWindow?.end].map(time => Date.parse(time ?? ''));
	if (start === undefined || end === undefined || !(end > start)) {
		throw new AcmeError({
			code: 'acme-answer-unusable',
			what: `${connection.place} gave renewal information without a window of time`,
			hint: 'The certificate is renewed by its lifetime instead',
		});
	}
	return {
		start,
		end,
		...(typeof explanationURL === 'string' &&
			URL.canParse(explanationURL) && {explanationUrl: explanationURL}),
		retryAfter: Math.min(Math.max(waitAskedFor(headers) ?? usualWait, shortestWait), longestWait),
	};
}
