/** Debian's oidc-agent, with accounts at a real provider (test/servers/oidc-provider.ts). */
import {type ChildProcess, execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtemp, rm} from 'node:fs/promises';
import {connect} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {promisify} from 'node:util';
import {findProgram, type RealServer} from './availability.ts';
import {clients} from './oidc-clients.ts';
import type {OidcProvider} from './oidc-provider.ts';
import {stopProcess} from './process.ts';

const run = promisify(execFile);

export const oidcAgent: RealServer = {
	name: 'oidc-agent',
	whyUnavailable: () =>
		['oidc-agent', 'oidc-gen', 'oidc-add', 'script'].every(name => findProgram(name) !== undefined)
			? undefined
			: 'oidc-agent, oidc-gen, oidc-add or script is not installed',
	install: 'apt-get install oidc-agent-cli bsdutils',
};

export interface OidcAgentSettings {
	readonly provider: OidcProvider;
	/** Whether it opens a login page when a refresh token has expired. Default: it does not. */
	readonly reauthenticates?: boolean;
}

export interface OidcAgent {
	/** What OIDC_SOCK names. */
	readonly socket: string;
	/** Its own folder for accounts, for programs such as oidc-token. */
	readonly environment: Readonly<Record<string, string | undefined>>;
	/** Make an account, and load it. */
	addAccount(name: string, user: string): Promise<void>;
	/** Take a loaded one out; its file stays. */
	unloadAccount(name: string): Promise<void>;
	lock(): Promise<void>;
	unlock(): Promise<void>;
	/** Let it hold still, or go on: as when it waits for something. */
	pause(): void;
	close(): Promise<void>;
}

const lockPassword = 'only-for-tests';

export async function startOidcAgent({provider, reauthenticates}: OidcAgentSettings): Promise<OidcAgent> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-oidc-agent-'));
	const socket = join(folder, 'agent.sock');
	const own = {...process.env, HOME: folder, OIDC_CONFIG_DIR: folder};
	const options = ['--no-autoload', ...(reauthenticates ? [] : ['--no-autoreauthenticate'])];
	const agent: ChildProcess = spawn(programOf('oidc-agent'), ['--console', '-a', socket, ...options], {
		env: own,
		stdio: 'ignore',
		// It works in processes of its own, which end with it.
		detached: true,
	});
	await untilListening(agent, socket);
	const environment = {...own, OIDC_SOCK: socket};
	return {
		socket,
		environment,
		async addAccount(name, user) {
			const {clientId, clientSecret} = clients.agent;
			await run(
				programOf('oidc-gen'),
				[
					'--manual',
					`--issuer=${provider.issuer}/`,
					`--client-id=${clientId}`,
					`--client-secret=${clientSecret}`,
					'--redirect-uri=http://localhost:4242',
					`--rt=${await provider.refreshTokenFor(user)}`,
					'--scope=openid offline_access read write',
					`--cert-path=${provider.ca}`,
					'--pw-cmd=echo only-for-tests',
					'--prompt=none',
					'--confirm-default',
					name,
				],
				{env: environment, timeout: 60_000},
			);
		},
		async unloadAccount(name) {
			await run(programOf('oidc-add'), ['--remove', name], {env: environment, timeout: 60_000});
		},
		lock: () => answerPrompts(`${programOf('oidc-add')} --lock`, environment),
		unlock: () => answerPrompts(`${programOf('oidc-add')} --unlock`, environment),
		pause: () => agent.kill('SIGSTOP'),
		async close() {
			try {
				process.kill(-(agent.pid ?? 0), 'SIGKILL');
			} catch {
				// It has ended.
			}
			await stopProcess(agent, 'SIGKILL');
			await rm(folder, {recursive: true, force: true});
		},
	};
}

/** What it says when it is ready stays in its buffer, so it is tried. */
async function untilListening(agent: ChildProcess, socket: string): Promise<void> {
	for (;;) {
		if (agent.exitCode !== null) throw new Error(`oidc-agent ended with ${agent.exitCode}`);
		const connection = connect(socket);
		const isThere = await once(connection, 'connect').then(
			() => true,
			() => false,
		);
		connection.destroy();
		if (isThere) return;
		await pause(20);
	}
}

function programOf(name: string): string {
	return findProgram(name) ?? name;
}

/** It asks for a password at a terminal and nowhere else; `script` is one. */
async function answerPrompts(
	command: string,
	env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
	const terminal = spawn(programOf('script'), ['-qec', command, '/dev/null'], {
		env: env as NodeJS.ProcessEnv,
		stdio: ['pipe', 'pipe', 'ignore'],
		timeout: 60_000,
	});
	let said = '';
	let answered = 0;
	terminal.stdout.on('data', chunk => {
		said += chunk;
		// Once for each prompt, however it arrives.
		const prompts = said.match(/password: /g)?.length ?? 0;
		for (; answered < prompts; answered++) terminal.stdin.write(`${lockPassword}\n`);
	});
	const [code] = await once(terminal, 'close');
	if (code !== 0) throw new Error(`'${command}' ended with ${code}: ${said}`);
}
