/** The codes of Kerberos (RFC 4120 section 7.5.9) as minor statuses of the GSS-API. */

/** Both libraries have the codes in a table that starts here. */
const tableStart = -1_765_328_384;

/** GSS_S_FAILURE, the major status that goes with a code of Kerberos. */
export const generalFailure = 13 << 16;

/** The minor status for a code. */
export function minorOf(code: number): number {
	return (tableStart + code) >>> 0;
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
