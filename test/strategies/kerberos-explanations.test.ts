/** The ten commonest failures of Kerberos, each brought about for real: the error, the library's words, and ours. */
import {execFile} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {describe, expect, test} from 'vitest';
import {CredentialUnavailableError, type GatepassError, KerberosExchangeError} from '../../src/index.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith, findProgram} from '../servers/availability.ts';
import {faketime} from '../servers/faketime.ts';
import {mitKdc} from '../servers/kdc.ts';
import {failureOf, libraries, untilExpired, useRealm} from './kerberos-setup.ts';

/** GSS_S_FAILURE and GSS_S_NO_CRED (RFC 2744 section 3.9.1). */
const [failure, noCredential] = [13 << 16, 7 << 16];
/** The minor status for a code of RFC 4120 section 7.5.9, of the table that both libraries have. */
const minorFor = (code: number): number => (code - 1_765_328_384) >>> 0;

interface Expected {
	readonly kind: typeof CredentialUnavailableError | typeof KerberosExchangeError;
	readonly major: number | undefined;
	/** Absent: MIT has counted it again, or the library gives none. */
	readonly code?: number | undefined;
	/** What the library says. */
	readonly says: RegExp;
	/** What gatepass says. */
	readonly explained: RegExp;
}

function check(error: Error, {kind, major, code, says, explained}: Expected): void {
	expect(error).toBeInstanceOf(kind);
	const exchange = (error instanceof KerberosExchangeError ? error : error.cause) as KerberosExchangeError;
	expect(exchange).toBeInstanceOf(KerberosExchangeError);
	expect(exchange.major).toBe(major);
	if (code !== undefined) expect(exchange.minor).toBe(minorFor(code));
	expect(error.message).toMatch(says);
	expect(error.message).toMatch(explained);
	expect(exchange.message).toBe(error.message);
}

describeWith([mitKdc, apacheNegotiate, faketime], 'failures of Kerberos, explained', () => {
	const realm = useRealm();

	describe.each(libraries)('over %s', library => {
		const isMit = library === 'mit';

		async function failing(options: Record<string, unknown>): Promise<Error> {
			const gatepass = await realm.gatepassWith({library, ...options});
			return failureOf(gatepass.got(realm.url('http', '/negotiate'), {retry: {limit: 0}}));
		}

		test('1. no credentials', async () => {
			const cache = `${realm.kdc.folder}/none`;
			check(await failing({credentialCache: cache}), {
				kind: CredentialUnavailableError,
				major: noCredential,
				says: isMit ? /No credentials cache found/ : /No credentials were supplied/,
				explained: new RegExp(`There is no usable ticket\\. Run 'kinit -c FILE:${cache} NAME@REALM'`),
			});
		});

		test('2. expired', async () => {
			const cache = await realm.kdc.ticket({lifetime: '1s'});
			await untilExpired(cache);
			for (const mechanism of ['spnego', 'krb5']) {
				check(await failing({credentialCache: cache, mechanism}), {
					kind: CredentialUnavailableError,
					major: failure,
					code: 32,
					says: /Ticket expired/,
					explained: new RegExp(`The ticket has expired\\. Run 'kinit -c FILE:${cache}`),
				});
			}
		});

		test.for(['+20m', '-20m'])('3. clock skew: this machine at %s', async shift => {
			const child = fileURLToPath(new URL('kerberos-context-child.ts', import.meta.url));
			const {stdout} = await promisify(execFile)(
				findProgram('faketime') as string,
				['-f', shift, process.execPath, child, library, await realm.kdc.ticket()],
				{env: {...process.env, KRB5_CONFIG: realm.kdc.configuration}},
			);
			expect(stdout).toMatch(/^KerberosExchangeError: /);
			expect(stdout).toMatch(isMit ? /Clock skew too great/ : /PROCESS_TGS/);
			expect(stdout).toContain('differ by more than Kerberos allows (five minutes)');
			if (!isMit) expect(stdout).toContain(`minor ${minorFor(37)}`);
		});

		describe.each(['spnego', 'krb5'])('%s', mechanism => {
			const inExchange = {kind: KerberosExchangeError, major: failure} as const;
			const withTicket = async (options: Record<string, unknown>): Promise<KerberosExchangeError> => {
				const credentialCache = await realm.kdc.ticket();
				const error = (await failing({credentialCache, mechanism, ...options})) as KerberosExchangeError;
				expect(error.response?.status).toBe(401);
				return error;
			};

			test('4. unknown service', async () => {
				check(await withTicket({service: 'nosuch'}), {
					...inExchange,
					code: 7,
					says: isMit ? /Server .*not found in Kerberos database/ : /LOOKING_UP_SERVER/,
					explained: /The KDC knows no service nosuch\/localhost.*set 'hostname' or 'service'/,
				});
			});

			test('5. wrong host name', async () => {
				check(await withTicket({hostname: 'alias.localhost'}), {
					...inExchange,
					code: 7,
					says: isMit ? /not found in Kerberos database/ : /LOOKING_UP_SERVER/,
					explained:
						/no service HTTP\/alias\.localhost.*'canonicalizeHostname: true' where the URL has an alias/,
				});
			});

			test('8. wrong realm', async () => {
				const error = await failing({
					principal: 'alice@NOWHERE.INVALID',
					password: 'of-no-account',
					mechanism,
				});
				check(error, {
					...inExchange,
					major: isMit ? noCredential : failure,
					code: isMit ? 154 : 156,
					says: isMit ? /Cannot find KDC for realm "NOWHERE/ : /unable to reach any KDC in realm NOWHERE/,
					explained: /realm.*\[realms\]/,
				});
			});

			test('8. wrong realm: that of the host', async () => {
				check(await withTicket({hostname: 'www.elsewhere.test'}), {
					...inExchange,
					code: 7,
					says: isMit
						? /Server krbtgt\/ELSEWHERE\.TEST@\S+ not found/
						: /LOOKING_UP_SERVER \(HTTP\/www\.elsewhere\.test@ELSEWHERE\.TEST\)/,
					explained: isMit
						? /no service HTTP\/www\.elsewhere\.test, nor a realm ELSEWHERE\.TEST.*\[domain_realm\]/
						: /no service HTTP\/www\.elsewhere\.test/,
				});
			});

			test('9. policy', async () => {
				await realm.kdc.administer('addprinc -randkey HTTP/guarded.localhost');
				await realm.kdc.administer('modprinc -allow_tgs_req HTTP/guarded.localhost');
				check(await withTicket({hostname: 'guarded.localhost'}), {
					...inExchange,
					code: 12,
					says: isMit ? /KDC policy rejects request/ : /TGT BASED NOT ALLOWED/,
					explained: /The KDC's policy forbids it/,
				});
			});
		});

		test('7. no KDC', async () => {
			const credentialCache = await realm.kdc.ticket();
			await realm.kdc.stop();
			try {
				for (const options of [
					{credentialCache},
					{principal: `alice@${realm.kdc.realm}`, password: realm.kdc.password},
				]) {
					const isInitial = 'password' in options;
					check(await failing(options), {
						kind: KerberosExchangeError,
						major: isMit && isInitial ? noCredential : failure,
						code: 156,
						says: isMit ? /Cannot contact any KDC for realm/ : /unable to reach any KDC in realm/,
						explained: /No KDC of the realm answers\. Check the network/,
					});
				}
			} finally {
				await realm.kdc.restart();
			}
		});

		test.for(['spnego', 'krb5'])('10. delegation refused (%s)', async mechanism => {
			const ask = async (forwardable: boolean) => {
				const gatepass = await realm.gatepassWith({
					library,
					mechanism,
					delegate: true,
					credentialCache: await realm.kdc.ticket({forwardable}),
				});
				return gatepass.got(realm.url('https', '/delegate'), {retry: {limit: 0}});
			};
			check(await failureOf(ask(false)), {
				kind: KerberosExchangeError,
				major: undefined,
				says: /made a token without delegation/,
				explained: /Delegation is refused.*'kinit -f'.*'delegate: false'/,
			});
			expect((await ask(true)).statusCode).toBe(200);
		});

		test('no failure of the ten reads like another', async () => {
			// The explanations are found by code and by text, so a wide pattern could take another one's place.
			const seen = new Set<string>();
			const all: GatepassError[] = [];
			const credentialCache = await realm.kdc.ticket();
			for (const options of [
				{credentialCache: '/nowhere/at/all'},
				{credentialCache, service: 'nosuch'},
				{principal: `nobody@${realm.kdc.realm}`, password: 'x'},
				{principal: `alice@${realm.kdc.realm}`, password: 'x'},
				{principal: `alice@${realm.kdc.realm}`, keytab: realm.kdc.keytabs.robot},
			]) {
				const error = (await failing(options)) as GatepassError;
				all.push(error);
				seen.add(error.message.split('. ').slice(1).join('. '));
			}
			expect(seen.size).toBe(all.length);
		});
	});
});
