/** Rules whose files are on a file system that hangs hold up no other rule, and say what is wrong. */
import {writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, onTestFinished, test} from 'vitest';
import {CredentialUnavailableError, createGatepass, type Gatepass} from '../../src/index.ts';
import {answerJson, startServer} from '../../src/testing/server.ts';
import {describeWith} from '../servers/availability.ts';
import {type HangingFolder, hangingFolders, startHangingFolder} from '../servers/hanging-folder.ts';
import {failure} from '../transports/scripted-stage.ts';

describeWith(hangingFolders, 'where files hang', () => {
	let place: HangingFolder;
	beforeEach(async () => {
		place = await startHangingFolder();
	});
	afterEach(() => place.close());

	const url = 'https://hanging.example.org/';
	const other = 'https://other.example.org/';

	async function open(
		rule: {strategy: string; options: Record<string, unknown>},
		env = {},
	): Promise<Gatepass> {
		const gatepass = await createGatepass({
			env,
			cwd: place.folder,
			config: {
				cache: {url: 'memory:'},
				hostRules: [
					{match: url, ...rule},
					{match: other, strategy: 'static-token', options: {token: 'of another'}},
				],
			},
		});
		onTestFinished(() => gatepass.close());
		return gatepass;
	}

	test.each([
		[
			'wlcg-token',
			() => ({strategy: 'wlcg-token', options: {file: join(place.folder, 'token')}}),
			/token does not answer: its file system hangs\. Wait until it answers/,
		],
		[
			'a client assertion',
			() => ({
				strategy: 'sso-client-credentials',
				options: {
					tokenEndpoint: 'http://127.0.0.1:9/token',
					clientId: 'c',
					clientAssertion: {file: join(place.folder, 'token')},
				},
			}),
			/token does not answer: its file system hangs/,
		],
		[
			"AWS's shared files",
			() => ({strategy: 'aws-sigv4', options: {service: 's3', region: 'x', credentials: {profile: 'p'}}}),
			/credentials.* cannot be read \(.*hangs\)/,
		],
	])('%s', async (_, rule, message) => {
		await place.write('token', 'a-token');
		await place.write('credentials', '[p]\naws_access_key_id=a\naws_secret_access_key=b\n');
		const gatepass = await open(rule(), {
			AWS_SHARED_CREDENTIALS_FILE: join(place.folder, 'credentials'),
			AWS_CONFIG_FILE: join(place.folder, 'config'),
		});
		place.hang();
		const waiting = failure(gatepass.authorize(url));
		const served: string[] = [];
		for (let time = 0; time < 5; time++) {
			served.push((await gatepass.authorize(other)).headers.authorization ?? '');
		}
		expect(served).toEqual(Array(5).fill('Bearer of another'));
		const error = await waiting;
		expect(error).toBeInstanceOf(CredentialUnavailableError);
		expect(error.message).toMatch(message);
		place.goOn();
	});

	test('a token that was read before goes on', async () => {
		await place.write('token', 'first');
		const gatepass = await open({strategy: 'wlcg-token', options: {file: join(place.folder, 'token')}});
		const shown = async () => (await gatepass.authorize(url)).headers.authorization;
		expect(await shown()).toBe('Bearer first');
		place.hang();
		expect(await shown()).toBe('Bearer first');
		await place.write('token', 'the-second');
		place.goOn();
		await expect.poll(shown).toBe('Bearer the-second');
	});

	test('so does a secret of the configuration', async () => {
		await place.write('secret', 'first');
		const server = await startServer((_, response) => answerJson(response, 200, {}));
		onTestFinished(() => server.close());
		const file = join(place.folder, 'secret');
		const configuration = join(place.folder, '../gatepass.config.json');
		await writeFile(
			configuration,
			JSON.stringify({
				cache: {url: 'memory:'},
				hostRules: [{match: url, strategy: 'static-token', options: {token: `\${file:${file}}`}}],
			}),
		);
		const gatepass = await createGatepass({env: {}, config: configuration});
		onTestFinished(() => gatepass.close());
		const shown = async () => (await gatepass.authorize(url)).headers.authorization;
		expect(await shown()).toBe('Bearer first');
		place.hang();
		expect(await shown()).toBe('Bearer first');
		await place.write('secret', 'second');
		place.goOn();
		await expect.poll(shown).toBe('Bearer second');
	});
});
