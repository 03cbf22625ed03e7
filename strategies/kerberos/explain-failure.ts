/** Says in plain words what a failure of the GSS-API means, and what to do. */
import type {AnyDiagnosticCode} from '../../src/diagnostics/diagnostic.ts';
import {CredentialUnavailableError, type GatepassError, KerberosExchangeError} from '../../src/errors.ts';
import {minorOf} from './codes.ts';
import {reachesNoSocket} from './descriptor-limit.ts';
import type {CredentialSource, Failure} from './gss-messages.ts';
import {CallFailed, CallTimedOut} from './worker-thread.ts';

/** What is known of the call that failed. */
export interface Circumstances {
	readonly source: CredentialSource;
	/** The rule's patterns and place. */
	readonly rule: string;
	/** Host-based, where a service was asked for. */
	readonly target: string | undefined;
}

interface Explanation {
	readonly code: AnyDiagnosticCode;
	/** What is wrong has to do with the user's own ticket, not with the exchange. */
	readonly isCredential?: boolean;
	/** What the library was doing; the same code means another thing where a server says it. */
	readonly phase?: Failure['phase'];
	/** Codes of Kerberos, counted from the start of its table (RFC 4120 section 7.5.9). */
	readonly codes?: readonly number[];
	/** What the libraries say of it; MIT numbers some codes again, so the text counts as well. */
	readonly text: RegExp;
	/** What it means, and what to do. @param text what the library says. */
	readonly advice: (circumstances: Circumstances, text: string) => readonly [meaning: string, hint: string];
}

const noCredential = 7;
const credentialsExpired = 11;

const explanations: readonly Explanation[] = [
	{
		code: 'kerberos-encryption-unsupported',
		phase: 'credential',
		text: /has only unusual keys of/,
		isCredential: true,
		advice: () => [
			"Libraries and KDCs leave these encryption types out unless [libdefaults] and the KDC's configuration allow them",
			'Write the key table again with AES keys that all know, such as aes256-cts-hmac-sha1-96',
		],
	},
	{
		code: 'kerberos-key-table-unusable',
		phase: 'credential',
		text: /holds tickets of .*, and the key table is for/,
		isCredential: true,
		advice: () => [
			'Fetched tickets are not written over those of another principal',
			"Leave 'credentialCache' out, or give one for this rule alone",
		],
	},
	{
		code: 'kerberos-cache-unreachable',
		phase: 'credential',
		text: /unknown (?:ccache|credential cache) type/i,
		isCredential: true,
		advice: ({source: {credentialCache}}) => [
			`The library knows no credential caches of this type (${credentialCache ?? 'the default one'})`,
			"Correct the name, take a cache in a file, or for KEYRING: MIT's library ('library: mit')",
		],
	},
	{
		code: 'kerberos-cache-unreachable',
		phase: 'credential',
		text: /^The credential cache .* (?:is not a file but|has \d+ bytes)/s,
		isCredential: true,
		advice: () => [
			'Tickets are read from a regular file of at most 16 MiB, and nothing else is opened',
			"Set 'credentialCache', or KRB5CCNAME, to the file that kinit writes, such as FILE:/tmp/krb5cc_0",
		],
	},
	{
		code: 'kerberos-cache-unreachable',
		phase: 'credential',
		text: /No KCM server found|keyring/i,
		isCredential: true,
		advice: ({source: {credentialCache}}) => [
			`The cache${credentialCache === undefined ? '' : ` ${credentialCache}`} is kept by the kernel or a service of the host, which is not reached from here, as in a container`,
			"Set 'credentialCache' to a file that is seen from here, such as FILE:/tmp/krb5cc_0, or use 'keytab'",
		],
	},
	{
		code: 'kerberos-key-table-unusable',
		phase: 'credential',
		text: /has keys of .*, and none of|^The key table .* (?:cannot be read|is empty|is damaged|holds no key|is not a file but|has \d+ bytes)|is no key table/,
		isCredential: true,
		advice: ({source}) => ['There is no usable ticket', howToGetTicket(source)],
	},
	{
		code: 'kerberos-encryption-unsupported',
		codes: [14],
		text: /no support for encryption type|encryption type.* not (?:supported|permitted)/i,
		advice: ({target}) => [
			`${principalOf(target)}, the KDC and this machine have no encryption type in common: mostly the service has keys of RC4 alone, which libraries leave out by now`,
			"Have the service's keys made again with AES; see the types with 'klist -e' and, for a key table, 'klist -ke'",
		],
	},
	{
		code: 'kerberos-clock-skew',
		codes: [37, 33],
		text: /clock skew|too great|Client clock out of sync|not yet valid/i,
		advice: () => [
			'The clocks of this machine and of the KDC or the server differ by more than Kerberos allows (five minutes)',
			"Set this machine's clock, for example with chrony",
		],
	},
	{
		code: 'kerberos-service-unknown',
		codes: [7],
		text: /Server .*not found in Kerberos database|Server not found|Server unknown/i,
		advice: ({target}, text) => [
			`The KDC knows no service ${principalOf(target)}${otherRealmIn(text)}`,
			"If the service has another name, set 'hostname' or 'service', or 'canonicalizeHostname: true' where the URL has an alias; otherwise ask for the principal to be made",
		],
	},
	{
		code: 'kerberos-password-wrong',
		phase: 'credential',
		codes: [24, 31],
		text: /Preauthentication failed|Decrypt integrity check failed|Password incorrect|password verification|Incorrect password/i,
		isCredential: true,
		advice: ({source}) =>
			source.keytab === undefined
				? ['The KDC does not accept the password', "Correct 'password'"]
				: [
						`The keys in ${source.keytab} are not those of the KDC: they were changed since`,
						'Write the key table again',
					],
	},
	{
		code: 'kerberos-client-unknown',
		codes: [6],
		text: /Client .*not found in Kerberos database|Client not found|Client unknown/i,
		isCredential: true,
		advice: ({source}) => [
			`The KDC knows no principal ${source.principal ?? 'of that name'}`,
			"Correct 'principal', with its realm",
		],
	},
	{
		code: 'kerberos-account-locked',
		codes: [18, 1, 2, 23],
		text: /revoked|locked out|has expired in Kerberos|Password has expired|Principal expired/i,
		isCredential: true,
		advice: () => ['The account is locked or expired', 'Ask for it to be opened again'],
	},
	{
		code: 'kerberos-key-outdated',
		codes: [44, 45, 41, 31, 35, 36],
		text: /key version|Message stream modified|wrong principal in request|Decrypt integrity check failed|ticket isn't for us/i,
		advice: ({target}) => [
			`The server's keys are not the ones that the KDC encrypts for (key version), or it is not ${principalOf(target)} at all`,
			"Get new tickets with 'kinit'; if that does not help, the server's key table is out of date, or the URL's host is an alias: then set 'hostname' or 'canonicalizeHostname: true'",
		],
	},
	{
		code: 'kerberos-kdc-unreachable',
		codes: [156, 163],
		text: /Cannot contact any KDC|unable to reach any KDC|Can't contact/i,
		advice: (_, text) =>
			reachesNoSocket(text) ?? [
				'No KDC of the realm answers',
				"Check the network, that the realm is the right one, and its 'kdc' lines under [realms] in the file that KRB5_CONFIG names, or /etc/krb5.conf",
			],
	},
	{
		code: 'kerberos-realm-unknown',
		codes: [230, 154, 68, 162],
		text: /Cannot find KDC for realm|unable to find realm|Realm not local|Wrong realm|Cannot determine realm|Configuration file does not specify default realm/i,
		advice: ({target}) => [
			'Kerberos does not know the realm, or where its KDC is',
			`Check the realm of 'principal', and [realms] and [domain_realm] for ${target?.split('@')[1] ?? 'the host'} in the file that KRB5_CONFIG names, or /etc/krb5.conf`,
		],
	},
	{
		code: 'delegation-refused',
		codes: [13],
		text: /can't fulfill requested option|cannot fulfill requested option|forwardable|delegation/i,
		advice: () => [
			'Delegation is refused: the KDC hands out no ticket that the server could use for you',
			"Get a forwardable ticket ('kinit -f'), or set 'delegate: false'",
		],
	},
	{
		code: 'kerberos-policy-refused',
		codes: [12],
		text: /KDC policy rejects|policy rejects/i,
		advice: () => ["The KDC's policy forbids it for this principal or service", 'Ask whoever runs the realm'],
	},
	{
		code: 'kerberos-ticket-expired',
		codes: [32],
		text: /Ticket expired|credentials? (?:has|have)? ?expired|referenced credential has expired|credential.* expired/i,
		isCredential: true,
		advice: ({source}) => ['The ticket has expired', howToGetTicket(source)],
	},
	{
		code: 'kerberos-ticket-missing',
		text: /No credentials? cache|no credentials|No Kerberos credentials|Matching credential|Can't find client principal|did not find credential|Credential cache is empty|No .*credential|not found in (?:client )?keytab|No such file|ENOENT|EACCES|cache .*(?:format|read)|keytab/i,
		isCredential: true,
		advice: ({source}) => ['There is no usable ticket', howToGetTicket(source)],
	},
];

/** The error for the user. */
export function explainFailure(error: Error, circumstances: Circumstances): GatepassError {
	if (error instanceof CallTimedOut) {
		return new KerberosExchangeError({
			code: 'kerberos-kdc-unreachable',
			what: `${error.message} for ${circumstances.rule}: most likely a KDC does not answer`,
			hint: "Check it, or raise 'timeout'",
		});
	}
	if (!(error instanceof CallFailed)) {
		return new KerberosExchangeError(
			{
				code: 'kerberos-exchange-failed',
				what: `The Kerberos library failed for ${circumstances.rule}`,
				hint: 'Look at the cause of this error, and report it',
			},
			{},
			{cause: error},
		);
	}
	const {failure} = error;
	if (failure.phase === 'library')
		return new CredentialUnavailableError({
			code: 'kerberos-library-missing',
			what: `No Kerberos library can be used for ${circumstances.rule}: ${failure.text}`,
			hint: 'Install one, on Debian libgssapi-krb5-2, and the package koffi',
		});
	const explanation = explanations.find(candidate => matches(failure, candidate));
	const routine = ((failure.major ?? 0) >>> 16) & 0xff;
	const isCredential =
		explanation === undefined
			? failure.phase === 'credential' || routine === noCredential || routine === credentialsExpired
			: explanation.isCredential === true;
	const [meaning, hint] = explanation?.advice(circumstances, failure.text) ?? [
		undefined,
		isCredential ? howToGetTicket(circumstances.source) : "Run 'gatepass doctor --network'",
	];
	const told = `Kerberos failed for ${circumstances.rule}: ${failure.text.replace(/\.$/, '')}`;
	const finding = {
		code: explanation?.code ?? (isCredential ? 'kerberos-ticket-missing' : 'kerberos-exchange-failed'),
		what: meaning === undefined ? told : `${told}. ${meaning}`,
		hint,
	};
	const {major, minor} = failure;
	const exchange = new KerberosExchangeError(finding, {
		...(major !== undefined && {major}),
		...(minor !== undefined && {minor}),
	});
	return isCredential ? new CredentialUnavailableError(finding, {cause: exchange}) : exchange;
}

function matches(failure: Failure, {phase, codes = [], text}: Explanation): boolean {
	if (phase !== undefined && phase !== failure.phase) return false;
	return codes.some(code => failure.minor === minorOf(code)) || text.test(failure.text);
}

/** MIT asks for another realm in the end, one that it makes of the host's domain, and then tells of that alone. */
function otherRealmIn(text: string): string {
	const realm = /Server krbtgt\/([^\s@]+)@/.exec(text)?.[1];
	return realm === undefined
		? ''
		: `, nor a realm ${realm}, where it could be (if it is in another one, say so under [domain_realm])`;
}

/** `HTTP@www.example.org` as a principal. */
function principalOf(target: string | undefined): string {
	return target?.replace('@', '/') ?? 'of that name';
}

function howToGetTicket({principal, credentialCache, keytab, password}: CredentialSource): string {
	if (keytab !== undefined) return `Check 'keytab' (${keytab}) and that it has keys of 'principal'`;
	if (password !== undefined) return "Check 'principal' and 'password'";
	const cache = credentialCache === undefined ? '' : ` -c ${credentialCache}`;
	return `Run 'kinit${cache} ${principal ?? 'NAME@REALM'}', or set the option 'keytab' or 'password'`;
}
