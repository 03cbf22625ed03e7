/**
 * Real programs that know nothing of gatepass, by `gatepass run` and by the reverse form: to Apache with client
 * certificates, with Negotiate, and with tokens.
 */
import {execFile} from 'node:child_process';
import {createHash, randomBytes} from 'node:crypto';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {createWorkspace, type Workspace} from '../cli/command-line.ts';
import {environmentOf} from '../servers/apache-negotiate.ts';
import {
	type ApacheServices,
	type Authentication,
	apacheServices,
	serviceToken,
	startApacheServices,
} from '../servers/apache-services.ts';
import {describeWith} from '../servers/availability.ts';
import {type CbtAcceptor, cbtAcceptor, startCbtAcceptor} from '../servers/cbt-acceptor.ts';
import {type Kdc, mitKdc, startKdc} from '../servers/kdc.ts';
import {stopProcess, untilServing} from '../servers/process.ts';
import {type ClientProgram, clientPrograms, type Place} from './programs.ts';

// On a busy machine a program that opens a connection for each of its requests takes its time.

const secret = 's'.repeat(43);
const folder = mkdtempSync(join(tmpdir(), 'gatepass-programs-'));
const kinds: readonly Authentication[] = ['certificate', 'negotiate', 'token'];

describeWith([mitKdc, apacheServices, cbtAcceptor], 'real programs', () => {
	let kdc: Kdc;
	let server: ApacheServices;
	let bound: CbtAcceptor;
	let workspace: Workspace;
	let env: Record<string, string>;
	/** Where the reverse form is served. */
	let withSecret: string;
	const stops: (() => Promise<void>)[] = [];

	/** Start `gatepass serve`, and give its URL. */
	async function serve(): Promise<string> {
		const child = workspace.start(['serve', '--access-log', 'off'], {
			env: {...env, GATEPASS_SECRET: secret},
		});
		stops.push(() => stopProcess(child, 'SIGTERM'));
		return untilServing(child);
	}

	beforeAll(async () => {
		kdc = await startKdc();
		server = await startApacheServices(kdc);
		bound = await startCbtAcceptor(kdc, server.tls, 'sha256');
		env = {...environmentOf(kdc), KRB5CCNAME: await kdc.ticket()};
		const {origins, ca, alice} = server;
		const configuration = {
			cache: {url: 'memory:'},
			trust: [...Object.values(origins), bound.url].map(match => ({match, ca, only: true})),
			hostRules: [
				{match: origins.certificate, strategy: 'grid-certificate', options: {...alice}},
				{match: origins.negotiate, strategy: 'kerberos', options: {canonicalizeHostname: false}},
				{
					match: bound.url,
					strategy: 'kerberos',
					options: {canonicalizeHostname: false, channelBindings: 'required'},
				},
				{match: origins.token, strategy: 'static-token', options: {token: serviceToken}},
			],
			serve: {
				listen: '127.0.0.1:0',
				routes: {
					...Object.fromEntries(kinds.map(kind => [`/${kind}`, origins[kind]])),
					'/bound': bound.url,
				},
			},
		};
		workspace = await createWorkspace(configuration);
		withSecret = await serve();
	});
	afterAll(async () => {
		await Promise.all(stops.map(stop => stop()));
		await workspace?.close();
		await bound?.close();
		await server?.close();
		await kdc?.close();
		rmSync(folder, {recursive: true});
	});

	/** One script for all three servers: what is printed for each. */
	async function use(
		program: ClientProgram,
		placeOf: (kind: Authentication) => Place,
		run: (script: string) => Promise<string>,
	): Promise<void> {
		const own = mkdtempSync(join(folder, 'own-'));
		const parts = kinds.map(kind => {
			const at = join(own, kind);
			return `mkdir ${at} && cd ${at} && (\n${program.script(placeOf(kind))}\n)\necho "[$?]"`;
		});
		const printed = (await run(parts.join('\n'))).trim().split(/\s*\[(\d+)\]\s*/);
		const outcomes = kinds.map((kind, index) => [kind, printed[2 * index], printed[2 * index + 1]]);
		expect(outcomes).toEqual(kinds.map(kind => [kind, program.expected(placeOf(kind)), '0']));
	}

	async function byRun(script: string): Promise<string> {
		const {stdout, stderr} = await workspace.run(['run', '--', 'sh', '-c', script], {env});
		if (stderr !== '') process.stderr.write(`${stderr}\n`);
		return stdout;
	}

	async function directly(script: string): Promise<string> {
		const own = {PATH: process.env.PATH, HOME: folder};
		return (await promisify(execFile)('sh', ['-c', script], {env: own})).stdout;
	}

	describe('Negotiate', () => {
		const local = (path: string): string => `${withSecret.replace('://', `://gatepass:${secret}@`)}${path}`;

		it('gets the whole body, after a 401 or at once where it cannot be sent again', async () => {
			// More than is kept to be sent a second time, also as a stream whose length nobody knows.
			const large = join(folder, 'large');
			const bytes = randomBytes(3_000_000);
			writeFileSync(large, bytes);
			const answers = [Buffer.from('small'), bytes, bytes].map(
				body => `POST ${server.users.negotiate} ${createHash('sha256').update(body).digest('hex')}\n`,
			);
			const send = (url: string): string =>
				`curl -sSf -d small ${url}; curl -sSf --data-binary @${large} ${url}; curl -sSf -H 'Transfer-Encoding: chunked' --data-binary @${large} ${url}`;
			expect(await byRun(send(`${server.origins.negotiate}/echo/body`))).toBe(answers.join(''));
			expect(await directly(send(local('/negotiate/echo/body')))).toBe(answers.join(''));
			// By run, a new process asks first; the one that serves may know the server already.
			const statuses = await server.statuses('/echo/body');
			expect(statuses.slice(0, 2)).toEqual(['401', '200']);
			expect(statuses.filter(status => status === '200').length).toBe(6);
		});

		it('binds itself to the connection where the server demands that', async () => {
			expect(await byRun(`curl -sSf ${bound.url}/strict`)).toBe(`${server.users.negotiate} bound=True`);
			expect(await directly(`curl -sSf ${local('/bound/strict')}`)).toBe(
				`${server.users.negotiate} bound=True`,
			);
		});
	});

	for (const program of clientPrograms(folder)) {
		describeWith(program.server, program.name, () => {
			it('by run', async () => {
				await use(program, kind => ({url: server.origins[kind], user: server.users[kind]}), byRun);
			});
			it('by the reverse form', async () => {
				const placeOf = (kind: Authentication): Place => ({
					url: `${withSecret}/${kind}`,
					user: server.users[kind],
					secret,
				});
				await use(program, placeOf, directly);
			});
		});
	}
});
