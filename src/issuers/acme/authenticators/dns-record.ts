/** The TXT record that answers a challenge by DNS. */
import {createHash} from 'node:crypto';
import {GatepassError} from '../../../errors.ts';
import type {ChallengeTask} from './authenticator.ts';

export interface DnsRecord {
	readonly name: string;
	readonly value: string;
	/** Whether it is to stay: it proves the name for later orders, too. */
	readonly isPersistent: boolean;
}

/** The kinds of challenges that are answered by a record. */
export const dnsChallenges = ['dns-01', 'dns-account-01', 'dns-persist-01'] as const;

/** The record for a challenge. @throws {GatepassError} where the server did not say what should stand in it. */
export function recordFor(
	task: Pick<
		ChallengeTask,
		'type' | 'domain' | 'wildcard' | 'keyAuthorization' | 'accountUrl' | 'issuerDomainNames'
	>,
): DnsRecord {
	const {type, domain, wildcard, keyAuthorization, accountUrl, issuerDomainNames = []} = task;
	if (type === 'dns-persist-01') {
		// draft-ietf-acme-dns-persist: any of the names that the server gives will do.
		const [issuer] = issuerDomainNames;
		if (issuer === undefined) {
			throw new GatepassError({
				code: 'acme-answer-unusable',
				what: `The authority names no issuer for the record of dns-persist-01 of ${domain}`,
				hint: 'Use dns-01, or ask whoever runs the authority',
			});
		}
		const policy = wildcard ? '; policy=wildcard' : '';
		return {
			name: `_validation-persist.${domain}`,
			value: `${issuer}; accounturi=${accountUrl}${policy}`,
			isPersistent: true,
		};
	}
	const prefix = type === 'dns-account-01' ? `_${accountLabel(accountUrl)}.` : '';
	return {
		name: `${prefix}_acme-challenge.${domain}`,
		value: dnsValue(keyAuthorization),
		isPersistent: false,
	};
}

/** The content of the record of dns-01 (RFC 8555 section 8.4). */
export function dnsValue(keyAuthorization: string): string {
	return createHash('sha256').update(keyAuthorization).digest('base64url');
}

/** draft-ietf-acme-dns-account-label: ten bytes of the hash of the account's address, in base32 (RFC 4648 section 6). */
function accountLabel(accountUrl: string): string {
	const bytes = createHash('sha256').update(accountUrl).digest().subarray(0, 10);
	const bits = [...bytes].map(byte => byte.toString(2).padStart(8, '0')).join('');
	return (bits.match(/.{5}/g) ?? [])
		.map(five => 'abcdefghijklmnopqrstuvwxyz234567'[Number.parseInt(five, 2)])
		.join('');
}
