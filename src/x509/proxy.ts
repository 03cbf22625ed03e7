/** Proxy certificates: what a user makes with their own certificate to let a program act for them. */
import type {X509Certificate} from 'node:crypto';
import {canonicalNames} from './canonical-name.ts';
import {childrenOf, derTag, objectIdentifier, readElement} from './der.ts';
import {findExtension} from './extensions.ts';

/** What a proxy certificate says of itself. */
export interface ProxyInfo {
	/** `rfc3820`; `draft`: Globus Toolkit 3; `legacy`: Globus Toolkit 2, which has no extension for it. */
	readonly type: 'rfc3820' | 'draft' | 'legacy';
	/** Whether services that start programs are to refuse it. */
	readonly isLimited: boolean;
	/** How many more proxies may be made from it; `undefined`: any number. */
	readonly pathLength?: number;
}

const proxyCertInfo = '1.3.6.1.5.5.7.1.14';
const draftProxyCertInfo = '1.3.6.1.4.1.3536.1.222';
const limitedPolicy = '1.3.6.1.4.1.3536.1.1.1.9';

/** What `certificate` says of itself as a proxy; `undefined` where it is none. */
export function proxyInfoOf(certificate: X509Certificate): ProxyInfo | undefined {
	const standard = findExtension(certificate, proxyCertInfo);
	if (standard !== undefined) return {type: 'rfc3820', ...policyOf(standard)};
	const draft = findExtension(certificate, draftProxyCertInfo);
	if (draft !== undefined) return {type: 'draft', ...policyOf(draft)};
	return legacyProxyOf(certificate);
}

/** RFC 3820 section 3.8; the draft wrote the two parts the other way round. */
function policyOf(value: Buffer): {isLimited: boolean; pathLength?: number} {
	const info = readElement(value);
	let isLimited = false;
	let pathLength: number | undefined;
	for (const part of info === undefined ? [] : childrenOf(value, info)) {
		if (part.tag === derTag.integer && part.end - part.begin <= 6 && part.end > part.begin) {
			pathLength = value.readUIntBE(part.begin, part.end - part.begin);
		}
		if (part.tag !== derTag.sequence) continue;
		const language = childrenOf(value, part)[0];
		isLimited = language !== undefined && objectIdentifier(value, language) === limitedPolicy;
	}
	return {isLimited, ...(pathLength !== undefined && {pathLength})};
}

/** The subject is the issuer's with `CN=proxy` or `CN=limited proxy` added, which no CA issues. */
function legacyProxyOf(certificate: X509Certificate): ProxyInfo | undefined {
	const parts = certificate.subject?.split('\n') ?? [];
	const isLimited = parts.at(-1) === 'CN=limited proxy';
	if (!isLimited && parts.at(-1) !== 'CN=proxy') return undefined;
	const {subject, issuer} = canonicalNames(certificate);
	const isLonger = parts.length === (certificate.issuer?.split('\n').length ?? 0) + 1;
	return isLonger && subject.startsWith(issuer) ? {type: 'legacy', isLimited} : undefined;
}
