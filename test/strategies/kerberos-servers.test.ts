/** The realm and Apache's mod_auth_gssapi themselves, with curl as the client: what the other tests stand on. */
import {execFile} from 'node:child_process';
import {promisify} from 'node:util';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {type ApacheNegotiate, apacheNegotiate, startApacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith, findProgram, type RealServer} from '../servers/availability.ts';
import {type Kdc, mitKdc, startKdc} from '../servers/kdc.ts';

const curl: RealServer = {
	name: 'curl',
	install: 'apt-get install curl',
	whyUnavailable: () => (findProgram('curl') === undefined ? 'there is no program curl' : undefined),
};

describeWith([mitKdc, apacheNegotiate, curl], 'a realm with Apache, by curl', () => {
	let kdc: Kdc;
	let server: ApacheNegotiate;
	beforeAll(async () => {
		kdc = await startKdc();
		server = await startApacheNegotiate(kdc);
	});
	afterAll(async () => {
		await server?.close();
		await kdc?.close();
	});

	async function request(url: string, cache: string): Promise<string> {
		const {stdout} = await promisify(execFile)(
			'curl',
			['-sS', '-D', '-', '-o', '/dev/null', '--cacert', server.ca, '--negotiate', '-u', ':', url],
			{env: {...process.env, KRB5_CONFIG: kdc.configuration, KRB5CCNAME: cache}},
		);
		return stdout;
	}

	test.for(['http', 'https'] as const)(
		'%s: a ticket opens it, no ticket does not',
		async (scheme, context) => {
			const url = `${scheme}://localhost:${server.ports[scheme]}/negotiate`;
			const answer = await request(url, await kdc.ticket({principal: 'robot'}));
			context.expect(answer).toMatch(/^HTTP\/1.1 200 /m);
			context.expect(answer).toContain(`X-Remote-User: robot@${kdc.realm}`);
			context.expect(await request(url, `${kdc.folder}/none`)).not.toMatch(/^HTTP\/1.1 200 /m);
		},
	);

	test('a KDC that was stopped and started again answers', async () => {
		await kdc.stop();
		await expect(kdc.ticket()).rejects.toThrow();
		await kdc.restart();
		expect(await kdc.ticket()).toContain(kdc.folder);
	});
});
