/**
 * The kinds of ticket caches, key tables and keys, and what becomes of each over both libraries. The tests try every one
 * (kerberos-forms, kerberos-kcm, kerberos-clock); docs/kerberos.md has the same tables.
 */

export interface Outcome {
	/** What the guide says. */
	readonly shown: string;
	/** What the error says, where there is one. */
	readonly error?: RegExp;
	/** Whether other tickets than those wanted are taken. */
	readonly isOther?: boolean;
}

export interface KerberosForm<Name extends string = string> {
	/** What the tests know it by. */
	readonly name: Name;
	readonly title: string;
	readonly mit: Outcome;
	readonly heimdal: Outcome;
}

const yes: Outcome = {shown: 'yes'};
const other = (shown: string): Outcome => ({shown, isOther: true});
const failing = (shown: string, error: RegExp): Outcome => ({shown, error});

function form<Name extends string>(
	name: Name,
	title: string,
	{mit = yes, heimdal = yes}: {mit?: Outcome; heimdal?: Outcome} = {},
): KerberosForm<Name> {
	return {name, title, mit, heimdal};
}

const noKeyrings = failing('no: the library does not know it', /unknown ccache type KEYRING/);
const primary = other('no: the primary ones');

/** Caches in files, and what is chosen in them. */
export const fileForms = [
	form('FILE', '`FILE:`'),
	form('path', 'a path'),
	form('DIR', '`DIR:`, the primary tickets'),
	form('DIR::', '`DIR::`, one cache of the folder'),
	form('DIR principal', 'a principal that is not primary in `DIR:`'),
	form('realm', "of several, those of the service's realm", {heimdal: primary}),
	form('k5identity', 'of several, those that `~/.k5identity` names', {heimdal: primary}),
	form('referral', 'a service in another realm by referral, without `[domain_realm]`'),
] as const;

export const kcmForms = [
	form('KCM name', '`KCM:` with the name of a cache'),
	form('KCM', '`KCM:` alone', {heimdal: other("the first, not those of the service's realm")}),
	form('KCM principal', 'a principal that is not primary in `KCM:`'),
] as const;

export const keyringForms = [
	form('KEYRING', '`KEYRING:`', {heimdal: noKeyrings}),
	form('KEYRING principal', 'a principal that is not primary in `KEYRING:`', {heimdal: noKeyrings}),
] as const;

export const clockForms = [
	form('clock, tickets', 'a ticket file, on a machine whose clock is off'),
	form('clock, key table', 'tickets by a key table, on such a machine', {
		heimdal: failing('no: the error says so', /clocks? .*differ/i),
	}),
	form('clock, password', 'tickets by a password, on such a machine', {
		heimdal: failing('no: the error says so', /clocks? .*differ/i),
	}),
] as const;

export const ticketForms: readonly KerberosForm[] = [
	...fileForms,
	...kcmForms,
	...keyringForms,
	...clockForms,
];

/** The name of a key table. */
export const keytabForms = [
	form('FILE', '`FILE:`'),
	form('WRFILE', '`WRFILE:`'),
	form('path', 'a path'),
] as const;

const unusual = (type: number): Outcome =>
	failing('an error that names the type', new RegExp(`only unusual keys of .*\\(${type}\\)`));

const where: Outcome = {shown: 'yes, where the KDC makes session keys of it'};

/** A principal with this one key alone; `name` is the type as kadmin knows it. */
export const keyForms = [
	form('aes256-cts-hmac-sha1-96', 'AES-256, SHA-1 (18)'),
	form('aes128-cts-hmac-sha1-96', 'AES-128, SHA-1 (17)'),
	form('aes256-cts-hmac-sha384-192', 'AES-256, SHA-384 (20)', {heimdal: where}),
	form('aes128-cts-hmac-sha256-128', 'AES-128, SHA-256 (19)', {heimdal: where}),
	form('camellia256-cts-cmac', 'Camellia-256 (26)', {heimdal: unusual(26)}),
	form('camellia128-cts-cmac', 'Camellia-128 (25)', {heimdal: unusual(25)}),
	form('arcfour-hmac', 'RC4 (23)', {heimdal: unusual(23)}),
	form('des3-cbc-sha1', '3DES (16)', {heimdal: unusual(16)}),
	// No KDC of today makes one: the test writes its number into a key table.
	form('des-cbc-md5', 'single DES (3)', {mit: unusual(3), heimdal: unusual(3)}),
] as const;
