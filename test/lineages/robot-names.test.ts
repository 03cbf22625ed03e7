/** A robot keeps its name on renewal, byte by byte, whatever is in it: no name is checked that nobody has given. */
import {execFile} from 'node:child_process';
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {expect, test} from 'vitest';
import {namesIn} from '../../src/x509/canonical-name.ts';
import {childrenOf, type DerElement, readElement} from '../../src/x509/der.ts';
import {describeWith, findProgram} from '../servers/availability.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {RobotHome, refusal} from './robot-home.ts';

describeWith(opensslServer, 'a robot', () => {
	const robot = RobotHome.forEachTest();

	async function openssl(...parameters: string[]): Promise<void> {
		await promisify(execFile)(findProgram('openssl') as string, parameters, {cwd: robot.home});
	}

	/** A CA of openssl's, which takes a subject as it is, and a robot of it that is in use. */
	async function useRobot(subject: string, stringMask: string): Promise<void> {
		const configuration = `[req]\nstring_mask = ${stringMask}\ndistinguished_name = dn\n[dn]\n`;
		writeFileSync(join(robot.home, 'openssl.cnf'), configuration);
		const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
		await openssl(
			'req',
			'-x509',
			...key,
			'-keyout',
			'ca.key',
			'-out',
			'ca.pem',
			'-subj',
			'/CN=CA',
			'-days',
			'2',
		);
		mkdirSync(robot.path);
		await openssl(
			...['req', '-new', '-config', 'openssl.cnf', ...key, '-utf8', '-multivalue-rdn', '-subj', subject],
			...['-keyout', 'identity/userkey.pem', '-out', 'first.csr'],
		);
		await sign('first.csr', 'identity/usercert.pem');
	}

	async function sign(request: string, certificate: string): Promise<void> {
		writeFileSync(
			join(robot.home, 'robot.ext'),
			'extendedKeyUsage=clientAuth\ncertificatePolicies=1.2.840.113612.5.2.3.3.1\n',
		);
		await openssl(
			...[
				'x509',
				'-req',
				'-in',
				request,
				'-CA',
				'ca.pem',
				'-CAkey',
				'ca.key',
				'-days',
				'2',
				'-out',
				certificate,
			],
			...['-extfile', 'robot.ext'],
		);
	}

	/** The subject in a certificate request (RFC 2986 section 4.1): what stands behind the version. */
	function subjectOf(request: string): Buffer {
		const der = Buffer.from(request.replace(/-----[^-]+-----|\s/g, ''), 'base64');
		const content = childrenOf(der, readElement(der) as DerElement)[0] as DerElement;
		const name = childrenOf(der, content)[1] as DerElement;
		return der.subarray(name.start, name.end);
	}

	test.each([
		['an at sign', '/DC=org/OU=Robots/CN=Robot: data@example.org', 'utf8only'],
		['brackets', '/DC=org/CN=Robot: data (backup) [2]', 'utf8only'],
		['a slash', '/DC=org/CN=Robot: host\\/data.example.org', 'utf8only'],
		['an accent', '/DC=org/CN=Robot: Zoë Łukasz', 'utf8only'],
		['an accent, in T61', '/O=Zürich/CN=Robot: Zoë', 'MASK:0x4'],
		['letters of two bytes', '/O=Łódź/CN=Robot: Łukasz', 'default'],
		['quotes', '/DC=org/CN=Robot: "data" \'x\'', 'utf8only'],
		['a comma, a plus and an equals sign', '/O=a\\, b\\+c/CN=Robot: a=b\\, c', 'utf8only'],
		['two values in one part', '/DC=org/OU=x+CN=Robot: data', 'utf8only'],
		['an address', '/O=x/CN=Robot: data/emailAddress=data@example.org', 'pkix'],
		['blanks at its ends', '/O= x /CN=Robot:  data  ', 'default'],
		['no mark of a robot but the policy', '/DC=org/CN=data@example.org', 'utf8only'],
		['more than 64 letters', `/DC=org/OU=${'u'.repeat(60)}/CN=Robot: ${'n'.repeat(57)}`, 'utf8only'],
	])('with %s', async (_, subject, stringMask) => {
		await useRobot(subject, stringMask);
		const {raw} = robot.inUse();
		const name = namesIn(raw)?.subject as DerElement;
		const before = raw.subarray(name.start, name.end);
		const {text, pending} = await robot.ask();
		expect(subjectOf(text).toString('hex')).toBe(before.toString('hex'));
		expect(pending.isRenewal).toBe(true);

		const request = join(robot.home, 'next.csr');
		writeFileSync(request, text);
		// The signature of the request is right.
		await openssl('req', '-in', 'next.csr', '-noout', '-verify');
		await sign('next.csr', 'next.pem');
		const {warnings} = await robot.install(readFileSync(join(robot.home, 'next.pem')));
		expect(warnings.filter(warning => warning.includes('subject'))).toEqual([]);
		expect(robot.inUse().raw.equals(raw)).toBe(false);
		// The same again, by the name that the account is known by.
		expect((await robot.ask({serviceAccount: pending.serviceAccount})).pending.serviceAccount).toBe(
			pending.serviceAccount,
		);
	});

	test('that is new has a name that can be asked for', async () => {
		await expect(robot.ask({serviceAccount: 'data@example.org'})).rejects.toThrow(/is no such name/);
	});

	test('keeps its name: another one is refused', async () => {
		await useRobot('/DC=org/CN=Robot: data@example.org', 'utf8only');
		const request = join(robot.home, 'other.csr');
		const {text} = await robot.ask();
		writeFileSync(request, text);
		await openssl(
			...['x509', '-req', '-in', 'other.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-days', '2'],
			...['-subj', '/DC=org/CN=Robot: data', '-extfile', 'robot.ext', '-out', 'other.pem'],
		);
		expect(await refusal(robot.install(readFileSync(join(robot.home, 'other.pem'))))).toMatch(
			/has the subject CN=Robot: data,DC=org, but the one in use has CN=Robot: data@example\.org,DC=org/,
		);
	});
});
