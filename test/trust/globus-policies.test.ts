/** Signing policies mean what they mean to Globus's own library, which is all the standard there is. */
import {execFile} from 'node:child_process';
import {X509Certificate} from 'node:crypto';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import fc from 'fast-check';
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest';
import {onelineSubject} from '../../src/trust/oneline-name.ts';
import {PolicySyntaxError} from '../../src/trust/policy.ts';
import {parseSigningPolicy} from '../../src/trust/signing-policy.ts';
import {describeWith, findProgram, type RealServer} from '../servers/availability.ts';
import {askGlobusChain, askGlobusPolicy, globus} from '../servers/globus.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {signingPolicy, startTlsServer} from './pki.ts';
import {gatepassFor, grid, gridName, newFolder, outcome, pki, root, rootName} from './stage.ts';

const ca = '/C=ch/O=CERN/CN=CA';
const access = `access_id_CA X509 '${ca}'\n`;
const rights = 'pos_rights globus CA:sign\n';
const head = access + rights;
const subjects = (list: string): string => `cond_subjects globus '${list}'\n`;
const usual = subjects('"/C=ch/*"');

const variants: Readonly<Record<string, string>> = {
	'as it should be': head + usual,
	'several names': head + subjects('"/C=ch/*" "/C=de/*"  "/C=fr/O=x"'),
	'several names without a blank': head + subjects('"/C=ch/*""/C=de/*"'),
	'one name without quotation marks in quotation marks': head + subjects('/C=ch/*'),
	'one name in double quotation marks alone': `${head}cond_subjects globus "/C=ch/*"\n`,
	'one name in none': `${head}cond_subjects globus /C=ch/*\n`,
	'one in none, without a last line end': `${head}cond_subjects globus /C=ch/*`,
	'names with single marks inside of double ones': `${head}cond_subjects globus "'/C=ch/*' '/C=de/*'"\n`,
	'two lists in a row': `${head}cond_subjects globus '"/C=ch/*"' '"/C=de/*"'\n`,
	'no mark at the end of the list': head + subjects('"/C=ch/*'),
	'no mark at the end of the text': `${head}cond_subjects globus '"/C=ch/*"\n`,
	'marks that touch a word': `${head}cond_subjects globus '"/C=ch/*"'more\n`,
	'blanks around the names': head + subjects('  "/C=ch/*"  "/C=de/*"  '),
	'names apart by commas': head + subjects('"/C=ch/*","/C=de/*"'),
	'a list on two lines': head + subjects('"/C=ch/*"\n"/C=de/*"'),
	'a list on two lines inside of a name': head + subjects('"/C=ch\n/*"'),
	'an empty list': head + subjects(''),
	'an empty name': head + subjects('""'),
	'a blank list': head + subjects(' '),
	'no last line end': (head + usual).slice(0, -1),
	'blank lines at the end': `${head}${usual}\n\n`,
	'blanks at the end': `${head}${usual}   `,
	'a comment at the end': `${head}${usual}# end\n`,
	'a comment at the end without a line end': `${head}${usual}# end`,
	'comments behind lines': (head + usual).replaceAll('\n', ' # why\n'),
	'a comment that touches a word': head + usual.replace('\n', '# why\n'),
	'comments between words': `access_id_CA # who\n X509 '${ca}'\n${rights}${usual}`,
	'a comment in the place of a value': `${head}cond_subjects globus '# none'\n '"/C=ch/*"'\n`,
	'a comment first': `# EACL\n\n  # more\n${head}${usual}`,
	'an empty file': '',
	'a line end': '\n',
	'nothing but a comment': '# nothing\n',
	'Windows line ends': (head + usual).replaceAll('\n', '\r\n'),
	'old Macintosh line ends': (head + usual).replaceAll('\n', '\r'),
	'a byte order mark': `\xEF\xBB\xBF${head}${usual}`,
	'all on one line': `${(head + usual).replaceAll('\n', ' ').trim()}\n`,
	'tabs for blanks': (head + usual).replaceAll(' ', '\t'),
	'each word on a line': (head + usual).replaceAll(' ', '\n'),
	'other case of access_id_CA': `ACCESS_ID_CA X509 '${ca}'\n${rights}${usual}`,
	'other case of X509': `access_id_CA x509 '${ca}'\n${rights}${usual}`,
	'other case of pos_rights': access + rights.replace('pos', 'POS') + usual,
	'other case of globus': access + rights.replace('globus', 'Globus') + usual,
	'other case of CA:sign': access + rights.replace('sign', 'Sign') + usual,
	'other case of cond_subjects': head + usual.replace('subjects', 'Subjects'),
	'another authority of the condition': head + usual.replace('globus', 'x509'),
	'another case of the CA': (head + usual).replace(ca, ca.toUpperCase()),
	'the CA without marks': `access_id_CA X509 ${ca}\n${rights}${usual}`,
	'the CA in double marks': `access_id_CA X509 "${ca}"\n${rights}${usual}`,
	'the CA with a star': `access_id_CA X509 '/C=ch/*'\n${rights}${usual}`,
	'no access_id_CA': rights + usual,
	'no rights': access + usual,
	'no conditions': head,
	'no conditions, and no last line end': head.slice(0, -1),
	'conditions for the first of two rights': `${head}${usual}${rights}`,
	'conditions for the second of two rights': head + rights + usual,
	'two conditions that are met': head + usual + subjects('"/C=ch/O=x*"'),
	'two conditions, one of them not met': head + usual + subjects('"/C=de/*"'),
	'two rights with conditions': head + usual + rights + subjects('"/C=de/*"'),
	'rights taken away': access + rights.replace('pos', 'neg') + usual,
	'rights taken away from what is permitted': `${head}${usual}neg_rights globus CA:sign\n${subjects('"/C=ch/O=x*"')}`,
	'rights taken away first': `${access}neg_rights globus CA:sign\n${subjects('"/C=ch/O=x*"')}${rights}${usual}`,
	'other rights': access + rights.replace('sign', 'revoke') + usual,
	'other rights besides': `${access}pos_rights globus CA:revoke\n${rights}${usual}`,
	'another word for rights': access + rights.replace('rights', 'right') + usual,
	'names that are banned': head + usual.replace('subjects', 'banned_subjects'),
	'names that are banned besides':
		head + usual + subjects('"/C=de/*"').replace('subjects', 'banned_subjects'),
	'a condition of the day': `${head}${usual}cond_day globus 'Su-Sa'\n`,
	'a condition of the hour': `${head}${usual}cond_time hr_scale_24 '00:00:00-23:59:59'\n`,
	'a condition of the mechanism': `${head}${usual}cond_sec_mech globus 'X509'\n`,
	'an unknown condition': `${head}cond_unknown globus '"/C=ch/*"'\n`,
	anybody: `access_id_ANYBODY\n${rights}${usual}`,
	'anybody with more words': `access_id_ANYBODY globus '*'\n${rights}${usual}`,
	'anybody, then the CA': `access_id_ANYBODY\n${rights}${usual}${head}${subjects('"/C=de/*"')}`,
	'the CA, then anybody': `${head}${subjects('"/C=de/*"')}access_id_ANYBODY\n${rights}${usual}`,
	'another CA': `access_id_CA X509 '/CN=other'\n${rights}${usual}`,
	'another CA first': `access_id_CA X509 '/CN=other'\n${rights}${subjects('"/C=de/*"')}${head}${usual}`,
	'the CA twice': head + subjects('"/C=de/*"') + head + usual,
	'the CA twice, in other words': `${head}${subjects('"/C=de/*"')}${head.replace(ca, ca.toLowerCase())}${usual}`,
	'two CAs for one right, this one first': `${access}access_id_CA X509 '/CN=other'\n${rights}${usual}`,
	'two CAs for one right, this one last': `access_id_CA X509 '/CN=other'\n${head}${usual}`,
	...Object.fromEntries(
		['USER', 'GROUP', 'HOST', 'APPLICATION'].map(kind => [
			`a rule for ${kind}`,
			`access_id_${kind} X509 '${ca}'\n${rights}${usual}`,
		]),
	),
	'another kind of holder': `access_id_SERVICE X509 '${ca}'\n${rights}${usual}`,
	'somebody who grants': `${head}${usual}grantor_CA X509 '${ca}'\n${rights}${usual}`,
	'another word at the end': `${head}${usual}more\n`,
	'a namespaces file': `TO Issuer "${ca}" PERMIT Subject "/C=ch/.*"\n`,
	'a question mark': head + subjects('"/C=c?/O=x"'),
	'a star alone': head + subjects('*'),
	'a star for nothing': head + subjects('"/C=ch/O=x*"'),
	'a star in the middle': head + subjects('"/C=*/O=x"'),
	'two stars': head + subjects('"/C=*/O=*"'),
	'a star at the beginning': head + subjects('"*/O=x"'),
	'a regular expression': head + subjects('"/C=ch/.*"'),
	'a dot': head + subjects('"/C.ch/O=x"'),
	'names in another case': head + subjects('"/c=CH/o=X"'),
	'two blanks for one': head + subjects('"/C=ch/O=a  b"'),
	'E for emailAddress': head + subjects('"/C=ch/E=a@b"'),
	'Email for emailAddress': head + subjects('"/C=ch/Email=a@b"'),
	'emailAddress with a star': head + subjects('"/C=ch/emailAddress=*"'),
	'E with a star': head + subjects('"/C=ch/E=*"'),
	'UID for USERID': head + subjects('"/C=ch/UID=a"'),
	'USERID for UID': head + subjects('"/C=ch/USERID=a"'),
	'S for ST': head + subjects('"/C=ch/S=a"'),
	'a byte': head + subjects('"/CN=Andr\\\\xC3\\\\xA9"'),
	'a byte with one backslash': head + subjects('"/CN=Andr\\xC3\\xA9"'),
	'a byte as it is': head + subjects('"/CN=Andr\xC3\xA9"'),
	'a byte of one digit': head + subjects('"/CN=a\\\\x4"'),
	'an escaped mark': head + subjects('"/CN=O\\\'Neill"'),
	'an escaped star': head + subjects('"/C=ch/\\\\*"'),
	'a hash in a name': head + subjects('"/CN=a#b"'),
	'a slash in a value': head + subjects('"/CN=host/a.example.org"'),
	'a long name': head + subjects(`"/C=ch/${'x'.repeat(5000)}*"`),
};

const names = [
	...[
		'/C=ch/O=x',
		'/C=ch/O=xyz',
		'/C=CH/o=X/CN=Y',
		'/C=ch/',
		'/C=ch',
		'/C=de/O=x',
		'/C=fr/O=x',
		'/O=x/C=ch/O=y',
	],
	...['/C=ch/emailAddress=a@b', '/C=ch/UID=a', '/C=ch/ST=a', '/C=ch/O=a b', '/CN=a#b', "/CN=O'Neill"],
	...['/CN=Andr\\xC3\\xA9', '/CN=AndrxC3xA9', '/CN=host/a.example.org', ca],
];

/** `refused` also where the file cannot be understood. */
function verdictOn(policy: string, issuer: string, subject: string): string {
	try {
		const verdict = parseSigningPolicy(Buffer.from(policy, 'latin1')).judge(issuer, subject, true);
		return verdict?.permits === true ? 'permitted' : 'refused';
	} catch (error) {
		expect(error).toBeInstanceOf(PolicySyntaxError);
		return 'refused';
	}
}

let folder: string;
beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), 'gatepass-globus-'));
});
afterAll(() => rm(folder, {recursive: true, force: true}));

async function globusOn(policies: readonly string[], subjectsToAsk: readonly string[]) {
	const files = await Promise.all(
		policies.map(async (policy, at) => {
			const file = join(folder, `${at}.signing_policy`);
			await writeFile(file, policy, 'latin1');
			return file;
		}),
	);
	const questions = files.flatMap(file => subjectsToAsk.map(subject => ({file, issuer: ca, subject})));
	const answers = await askGlobusPolicy(questions);
	return files.map((_, at) => answers.slice(at * subjectsToAsk.length, (at + 1) * subjectsToAsk.length));
}

describeWith(globus, 'a signing policy means what it means to Globus', () => {
	let answers: Map<string, string[]>;
	beforeAll(async () => {
		const all = await globusOn(Object.values(variants), names);
		answers = new Map(Object.keys(variants).map((variant, at) => [variant, all[at] as string[]]));
	});

	test.each(Object.keys(variants))('%s', variant => {
		const own = names.map(name => `${name}: ${verdictOn(variants[variant] as string, ca, name)}`);
		expect(own).toEqual(names.map((name, at) => `${name}: ${answers.get(variant)?.[at]}`));
	});

	test('the table has both verdicts', () => {
		const all = new Set([...answers.values()].flat());
		expect(all).toEqual(new Set(['permitted', 'refused']));
	});

	test('also where words stand in any order', async () => {
		const line = fc.oneof(
			{weight: 4, arbitrary: fc.constantFrom(access, rights, usual, `${rights}${usual}`, head + usual)},
			fc.constantFrom(
				...['access_id_ANYBODY\n', "access_id_CA X509 '/CN=other'\n", 'neg_rights globus CA:sign\n'],
				...['pos_rights globus CA:x\n', subjects('"/C=de/*" "/C=ch/O=x"'), subjects('/C=ch/*')],
				...[
					'cond_day globus Su\n',
					'# why\n',
					'# why',
					'\n',
					' ',
					'more ',
					"'",
					'"',
					"''",
					"'#' ",
					'\\',
					'cond_',
					'access',
					'pos',
				],
				...[
					'cond_subjects ',
					'globus ',
					'X509 ',
					'CA:sign ',
					`'${ca}' `,
					`'"/C=ch/*"' `,
					`'"/C=ch/*"'`,
					`"/C=ch/*"`,
				],
			),
		);
		const policies = fc.sample(
			fc.array(line, {minLength: 1, maxLength: 9}).map(lines => lines.join('')),
			{numRuns: 1500, seed: 20_260_101},
		);
		const asked = ['/C=ch/O=x', '/C=ch/O=yz', '/C=de/O=x', '/C=fr/O=x'];
		const theirs = await globusOn(policies, asked);
		const differences = policies.flatMap((policy, at) => {
			const own = asked.map(name => verdictOn(policy, ca, name));
			// The library ends some processes at a file that it cannot read.
			if (theirs[at]?.includes('crashed')) expect(own).toEqual(asked.map(() => 'refused'));
			if (theirs[at]?.includes('crashed')) return [];
			return String(own) === String(theirs[at]) ? [] : [{policy, own, theirs: theirs[at]}];
		});
		expect(differences).toEqual([]);
		expect(new Set(theirs.flat()).size).toBeGreaterThan(1);
	});
});

const gridFolder = '/etc/grid-security/certificates';
const debiansCas: RealServer = {
	name: "the grid's CA certificates",
	install: 'apt-get install igtf-policy-classic',
	whyUnavailable: () => (existsSync(gridFolder) ? undefined : `there is no ${gridFolder}`),
};

describeWith([globus, debiansCas], "the policies of the grid's CAs", () => {
	test('mean to us what they mean to Globus', async () => {
		const certificates = new Map(
			readdirSync(gridFolder)
				.filter(name => /^[\da-f]{8}\.0$/.test(name))
				.map(name => [name.slice(0, 8), new X509Certificate(readFileSync(join(gridFolder, name)))] as const),
		);
		const all = [...certificates.values()].map(onelineSubject);
		const questions = [...certificates].flatMap(([hash, certificate], at) => {
			const file = join(gridFolder, `${hash}.signing_policy`);
			const issuer = onelineSubject(certificate);
			const base = issuer.replace(/\/[^/]*$/, '');
			const asked = [
				issuer,
				`${base}/CN=host\\/a.example.org`,
				`${base}/CN=a`,
				all[(at * 7) % all.length] as string,
			];
			return existsSync(file) ? asked.map(subject => ({file, issuer, subject})) : [];
		});
		expect(questions.length).toBeGreaterThan(200);
		const theirs = await askGlobusPolicy(questions);
		const own = questions.map(({file, issuer, subject}) =>
			verdictOn(readFileSync(file, 'latin1'), issuer, subject),
		);
		expect(questions.filter((_, at) => own[at] !== theirs[at])).toEqual([]);
		expect(new Set(own)).toEqual(new Set(['permitted', 'refused']));
	});
});

/** What the function of that name says, which Globus calls. */
async function onelineOf(file: string): Promise<string> {
	const program = `
from ctypes import *
crypto = CDLL('libcrypto.so.3')
for name in ('BIO_new_file', 'PEM_read_bio_X509', 'X509_get_subject_name'): getattr(crypto, name).restype = c_void_p
crypto.X509_NAME_oneline.restype = c_char_p
bio = c_void_p(crypto.BIO_new_file(b'${file}', b'r'))
subject = crypto.X509_get_subject_name(c_void_p(crypto.PEM_read_bio_X509(bio, None, None, None)))
print(crypto.X509_NAME_oneline(c_void_p(subject), None, 0).decode())`;
	const {stdout} = await promisify(execFile)(findProgram('python3') as string, ['-c', program]);
	return stdout.slice(0, -1);
}

describeWith([globus, opensslServer], 'a chain of a server and its policies', () => {
	test.each([
		['permit it', '/DC=org/DC=gatepass/OU=Hosts/CN=a', ['/DC=org/DC=gatepass/*']],
		['do not', '/DC=org/DC=elsewhere/CN=a', ['/DC=org/DC=gatepass/*']],
		['permit it to the letter', '/DC=org/CN=André', ['/DC=org/CN=Andr\\\\xC3\\\\xA9']],
		['permit another accent', '/DC=org/CN=André', ['/DC=org/CN=Andr\\\\xC3\\\\xA8']],
		['call an attribute by another word', '/DC=org/emailAddress=a@b', ['/DC=org/Email=a@b']],
		['know an attribute by its number', '/DC=org/1.2.3.4=a', ['/DC=org/1.2.3.4=*']],
		['have two values in one part', '/DC=org/OU=a+CN=b', ['/DC=org/OU=a/CN=b']],
	])('where they %s: %s', async (name, subject, patterns) => {
		const holder = await pki.issue(`globus-${name}`, subject, grid);
		const ca = await newFolder();
		await ca.put(root, 'signing_policy', signingPolicy(rootName, gridName, rootName));
		await ca.put(grid, 'signing_policy', signingPolicy(gridName, ...patterns));
		const [verdict] = await askGlobusChain([{folder: ca.path, chain: holder.chain}]);
		const server = await startTlsServer(holder);
		onTestFinished(() => server.close());
		const own = await outcome(await gatepassFor(ca.path), server.url);
		expect(own === 200 ? 'permitted' : 'refused').toBe(verdict);
	});

	test('names are written as OpenSSL writes them in one line', async () => {
		for (const [at, subject] of [
			...[
				'/CN=a b',
				'/CN=André',
				'/CN=a\\+b',
				'/O=x/CN=a\\/b',
				'/OU=a+CN=b/CN=c',
				'/CN=a=b',
				'/1.2.3.4=x/CN=y',
			],
			...['/emailAddress=a@b', '/UID=a/ST=b/L=c/serialNumber=1', '/CN="quoted", and \\\\more', '/CN=日本'],
		].entries()) {
			await pki.openssl(
				...['req', '-x509', '-key', grid.key, '-utf8', '-multivalue-rdn', '-subj', subject],
				...['-days', '2', '-out', `oneline-${at}.pem`],
			);
			const file = join(pki.folder, `oneline-${at}.pem`);
			const name = onelineSubject(new X509Certificate(await readFile(file)));
			expect(name).toBe(await onelineOf(file));
		}
	});
});
