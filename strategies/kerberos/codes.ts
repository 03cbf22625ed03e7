/** The codes of Kerberos (RFC 4120 section 7.5.9) as minor statuses of the GSS-API. */

/** Both libraries have the codes in a table that starts here. */
const tableStart = -1_765_328_384;

/** GSS_S_FAILURE, the major status that goes with a code of Kerberos. */
export const generalFailure = 13 << 16;

/** The minor status for a code. */
export function minorOf(code: number): number {
	return (tableStart + code) >>> 0;
}

/** Whether a minor status is one of the table. */
export function isOfKerberos(minor: number): boolean {
	const code = (minor | 0) - tableStart;
	return code >= 0 && code < 256;
}

/** What MIT's library says of failures with a KDC: its words (krb5_err.et), and the code. To ask it again takes its time. */
const words: readonly (readonly [RegExp, number])[] = [
	[/Client .*not found in Kerberos database/, 6],
	[/KDC policy rejects request/, 12],
	[/KDC has no support for encryption type/, 14],
	[/credentials have been revoked/, 18],
	[/Password has expired/, 23],
	[/Preauthentication failed/, 24],
	[/Decrypt integrity check failed/, 31],
	[/Ticket expired/, 32],
	[/Clock skew too great/, 37],
	[/Cannot find KDC for/, 154],
	[/Cannot contact any KDC/, 156],
];

/**
 * The code of Kerberos for a minor status. MIT's SPNEGO, and its credentials for several mechanisms, number failures by
 * the order of their happening; a number that no words tell the code of stays as it is.
 */
export function codedMinor(minor: number, text: string): number {
	if (minor === 0 || isOfKerberos(minor)) return minor;
	const code = words.find(([pattern]) => pattern.test(text))?.[1];
	return code === undefined ? minor : minorOf(code);
}

/** KRB_AP_ERR_TKT_EXPIRED */
export const ticketExpired = 32;

/** What a server may say of a ticket that it refuses. */
const names: Readonly<Record<number, string>> = {
	31: 'KRB_AP_ERR_BAD_INTEGRITY',
	[ticketExpired]: 'KRB_AP_ERR_TKT_EXPIRED',
	33: 'KRB_AP_ERR_TKT_NYV',
	34: 'KRB_AP_ERR_REPEAT',
	35: 'KRB_AP_ERR_NOT_US',
	36: 'KRB_AP_ERR_BADMATCH',
	37: 'KRB_AP_ERR_SKEW',
	38: 'KRB_AP_ERR_BADADDR',
	39: 'KRB_AP_ERR_BADVERSION',
	40: 'KRB_AP_ERR_MSG_TYPE',
	41: 'KRB_AP_ERR_MODIFIED',
	44: 'KRB_AP_ERR_BADKEYVER',
	45: 'KRB_AP_ERR_NOKEY',
	46: 'KRB_AP_ERR_MUT_FAIL',
	50: 'KRB_AP_ERR_INAPP_CKSUM',
	60: 'KRB_ERR_GENERIC',
};

/** The name that RFC 4120 has for it. */
export function nameOf(code: number): string {
	return names[code] ?? 'an error of Kerberos';
}
