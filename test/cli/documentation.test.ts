/**
 * Runs every command that docs/cli.md shows, and holds the output there against what came. The hosts of the examples
 * are servers on this machine while it runs. `vitest run test/cli/documentation.test.ts -u` writes new output in.
 */
import {execFile} from 'node:child_process';
import {copyFileSync, readFileSync} from 'node:fs';
import {promisify} from 'node:util';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {
	type MtlsServer,
	startMtlsServer,
	startTokenServer,
	type TokenServer,
} from '../../src/testing/index.ts';
import {findProgram} from '../servers/availability.ts';
import {createWorkspace, type Workspace} from './command-line.ts';
import {replay, wordsOf} from './replay.ts';

const document = new URL('../../docs/cli.md', import.meta.url);

let mtls: MtlsServer;
let api: TokenServer;
/** With the hosts of the examples, for what asks no server. */
let asWritten: Workspace;
/** With the servers in their places. */
let local: Workspace;

beforeAll(async () => {
	[mtls, api, asWritten, local] = await Promise.all([
		startMtlsServer(),
		startTokenServer(),
		createWorkspace(),
		createWorkspace(),
	]);
	for (const workspace of [asWritten, local]) {
		await workspace.write('.env', 'SSO_CLIENT_ID=runs-report\nSSO_CLIENT_SECRET=canary-client-secret\n');
		await workspace.write('private/usercert.pem', '');
		copyFileSync(mtls.client.certificate, workspace.path('private/usercert.pem'));
		copyFileSync(mtls.client.key, workspace.path('private/userkey.pem'));
	}
	await asWritten.write('answers.yaml', answers);
	await asWritten.write('refused.yaml', answers.replace('forwardsMail: true', 'forwardsMail: false'));
	if (openssl !== undefined) await writePkcs12(openssl);
	await local.run(['init', '--bundle', 'cern']);
	const written = readFileSync(local.path('gatepass.config.yaml'), 'utf8');
	const trust = `\ntrust: [{match: '${mtls.url}', ca: '${mtls.ca}'}]\ncache: {url: 'sqlite:./tokens.sqlite'}\n`;
	await local.write(
		'gatepass.config.yaml',
		toServers(written).replace(/# tokenEndpoint: .*/, `tokenEndpoint: ${api.tokenEndpoint}`) + trust,
	);
});

/** Makes what `cert import` takes. */
const openssl = findProgram('openssl');

async function writePkcs12(program: string): Promise<void> {
	const {certificate, key} = mtls.client;
	const files = ['-in', certificate, '-inkey', key, '-out', asWritten.path('my.p12')];
	await promisify(execFile)(program, ['pkcs12', '-export', '-legacy', ...files, '-passout', 'pass:canary']);
	await asWritten.write('passphrase', 'canary\n');
}

/** Of an applicant for a robot certificate. */
const answers =
	'memberCategory: STAFF\nownsServiceAccount: true\nforwardsMail: true\nforSharing: false\nforAccount: false\n';

afterAll(async () => {
	await Promise.all([mtls?.close(), api?.close(), asWritten?.close(), local?.close()]);
});

function toServers(text: string): string {
	return text.replaceAll('https://cmsweb.cern.ch', mtls.url).replaceAll('https://cmsoms.cern.ch', api.url);
}

function fromServers(text: string): string {
	return text
		.replaceAll(api.tokenEndpoint, 'https://auth.cern.ch/auth/realms/cern/api-access/token')
		.replaceAll(mtls.url, 'https://cmsweb.cern.ch')
		.replaceAll(api.url, 'https://cmsoms.cern.ch')
		.replaceAll(local.folder, '/home/alice')
		.replaceAll(asWritten.folder, '/home/alice');
}

/** What the certificate authority does in the meantime. */
async function issueRobot(): Promise<void> {
	const pending = asWritten.path('.globus/.gatepass/pending/usercert_request.pem');
	const subject = 'CN=Robot: cmsprod,CN=cmsprod,OU=Users,DC=example';
	const issued = await mtls.authority.sign(readFileSync(pending, 'utf8'), {subject});
	await asWritten.write('robot.pem', readFileSync(mtls.ca, 'utf8') + issued);
}

async function runLine(line: string): Promise<string> {
	const [program, ...args] = wordsOf(line);
	expect(program).toBe('gatepass');
	const asksHost = args[0] === 'doctor' && args[1]?.startsWith('https:') === true;
	const needsServers = asksHost || ['request', 'token', 'forget'].includes(args[0] ?? '');
	const workspace = needsServers ? local : asWritten;
	if (line === 'gatepass cert install robot.pem') await issueRobot();
	const {stdout, stderr} = await workspace.run(needsServers ? args.map(toServers) : args);
	// A body need not end its line.
	return fromServers(stderr + stdout).replace(/(?<!\n)$/, '\n');
}

test('what docs/cli.md shows is what comes', async () => {
	const current = await replay(document, 10, async (line, shown) => {
		const isMissing = openssl === undefined && line.startsWith('gatepass cert import');
		return isMissing ? shown : runLine(line);
	});
	expect(current).not.toContain('canary');
	await expect(current).toMatchFileSnapshot(document.pathname);
});
