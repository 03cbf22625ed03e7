/** Another user of the same machine, who can connect to it and look at its processes and files. */
import {type ChildProcess, execFile, spawnSync} from 'node:child_process';
import {chmodSync, mkdirSync, readdirSync, statSync} from 'node:fs';
import {promisify} from 'node:util';
import {afterAll, afterEach, beforeAll, expect, it} from 'vitest';
import {createWorkspace, type Workspace} from '../cli/command-line.ts';
import {describeWith, type RealServer} from '../servers/availability.ts';
import {stopProcess, untilServing} from '../servers/process.ts';
import {quote} from './programs.ts';
import {type StartedServer, startServer} from './start-proxy.ts';

const secret = 'x'.repeat(43);
/** Nobody's number, and no number of a group that has anything. */
const as = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];

const secondUser: RealServer = {
	name: 'a second user',
	install: 'run the tests as root',
	// An ordinary user can become nobody else.
	isOptional: true,
	whyUnavailable: () => {
		if (process.getuid?.() !== 0) return 'the tests do not run as root, who alone can become another user';
		const [file = '', ...args] = [...as, 'true'];
		return spawnSync(file, args).status === 0 ? undefined : 'setpriv cannot become another user here';
	},
};

describeWith(secondUser, 'another local user', () => {
	let server: StartedServer;
	let workspace: Workspace;
	const children: ChildProcess[] = [];

	beforeAll(async () => {
		server = await startServer((request, response) => response.end(request.headers.authorization ?? 'none'));
		workspace = await createWorkspace();
		await workspace.configure({
			cache: {url: 'memory:'},
			hostRules: [
				{match: `http://127.0.0.1:${server.port}`, strategy: 'static-token', options: {token: 'the-token'}},
				{match: 'https://example.org', strategy: 'static-token', options: {token: 'the-token'}},
			],
			serve: {listen: '127.0.0.1:0', routes: {'/api': server.origin}, forward: true},
		});
		// Whatever the folders above let through, what stands in them must not.
		chmodSync(workspace.folder, 0o755);
	});
	afterEach(async () => {
		await Promise.all(children.splice(0).map(child => stopProcess(child, 'SIGTERM')));
	});
	afterAll(async () => {
		await workspace?.close();
		await server?.close();
	});

	async function serve(...args: string[]): Promise<string> {
		const child = workspace.start(['serve', '--access-log', 'off', ...args], {
			env: {GATEPASS_SECRET: secret},
		});
		children.push(child);
		return untilServing(child);
	}

	/** What the other user gets; the exit code where that is nothing. */
	async function other(...command: string[]): Promise<string> {
		const [file = '', ...args] = [...as, ...command];
		try {
			return (await promisify(execFile)(file, args)).stdout;
		} catch (error) {
			return `exit code ${(error as {code: number}).code}`;
		}
	}

	it('who has no secret gets nothing by either form of a port', async () => {
		const place = await serve();
		const status = ['-s', '-o', '/dev/null', '-w', '%{http_code}'];
		expect(await other('curl', ...status, `${place}/api/`)).toBe('401');
		expect(await other('curl', ...status, '-x', place, '--noproxy', '', `${server.origin}/`)).toBe('407');
		expect(await other('curl', '-s', '-x', place, '--noproxy', '', 'https://example.org/')).toBe(
			'exit code 56',
		);
		for (const page of ['', 'metrics', 'status.json']) {
			expect(await other('curl', ...status, `${place}/-/${page}`)).toBe('401');
		}
		expect(await other('curl', '-s', '-H', `X-Gatepass-Secret: ${secret}`, `${place}/api/`)).toBe(
			'Bearer the-token',
		);
	});

	it('the Unix socket, the key of the CA and the tokens are not theirs', async () => {
		const path = workspace.path('proxy.sock');
		await serve('--listen', `unix:${path}`);
		expect(await other('curl', '-s', '--unix-socket', path, 'http://localhost/api/')).toBe('exit code 7');
		await serve();
		const state = workspace.path('.local/state/gatepass');
		expect(statSync(`${state}/proxy-ca.json`).mode & 0o077).toBe(0);
		for (const folder of ['.local', '.local/state', '.local/state/gatepass']) {
			chmodSync(workspace.path(folder), 0o755);
		}
		expect(await other('cat', `${state}/proxy-ca.json`)).toBe('exit code 1');
	});

	it('the proxy of a command is for its user alone: its port, its second port, its files and its environment', async () => {
		mkdirSync(workspace.path('runtime'), {recursive: true});
		chmodSync(workspace.path('runtime'), 0o755);
		const probe = `
port=$(echo "$JAVA_TOOL_OPTIONS" | sed 's/.*-Dhttp.proxyPort=\\([0-9]*\\).*/\\1/')
ask() { curl -s -m 5 -o "$1" -w '%{http_code} ' --noproxy '' -x "$2" ${server.origin}/; echo $?; }
bare=$(echo "$HTTP_PROXY" | sed 's/gatepass:.*@//')
url=${quote(`${server.origin}/`)}
echo "own $(curl -s --noproxy '' -x http://127.0.0.1:$port $url)"
echo "port $(${as.join(' ')} curl -s -o /dev/null -w '%{http_code}' --noproxy '' -x $bare $url)"
echo "second $(${as.join(' ')} curl -s --noproxy '' -x http://127.0.0.1:$port $url || echo $?)"
echo "files $(${as.join(' ')} ls "$(dirname "$SSL_CERT_FILE")" 2>/dev/null || echo no)"
echo "environment $(${as.join(' ')} cat /proc/$$/environ 2>/dev/null || echo no)"
echo "parent $(${as.join(' ')} cat /proc/$PPID/environ 2>/dev/null || echo no)"
secret=$(echo "$HTTP_PROXY" | sed 's/.*gatepass:\\(.*\\)@.*/\\1/')
arguments=$(${as.join(' ')} ps -eww -o args)
case "$arguments" in *"$secret"*) echo "arguments with it" ;; *run*) echo "arguments without it" ;; esac`;
		const {stdout} = await workspace.run(['run', '--', 'sh', '-c', probe], {
			env: {XDG_RUNTIME_DIR: workspace.path('runtime')},
		});
		expect(stdout.trim().split('\n')).toEqual([
			'own Bearer the-token',
			'port 407',
			'second 56',
			'files no',
			'environment no',
			'parent no',
			'arguments without it',
		]);
		expect(readdirSync(workspace.path('runtime'))).toEqual([]);
	});

	it('who has hung up before their user is looked up is nobody, and not root', async () => {
		// The kernel gives what nobody has open any more to user 0.
		const hangUp = `
import socket, sys
place = ('127.0.0.1', int(sys.argv[1]))
for path in range(5):
    s = socket.create_connection(place)
    s.sendall(b'DELETE ' + sys.argv[2].encode() + b'hung-up HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
    s.close()`;
		const probe = `
port=$(echo "$JAVA_TOOL_OPTIONS" | sed 's/.*-Dhttp.proxyPort=\\([0-9]*\\).*/\\1/')
kill -STOP $PPID
${as.join(' ')} /usr/bin/python3 -c ${quote(hangUp)} $port ${server.origin}/
kill -CONT $PPID
curl -s --noproxy '' -x http://127.0.0.1:$port ${server.origin}/last`;
		const before = server.requests.length;
		const {stdout} = await workspace.run(['run', '--', 'sh', '-c', probe]);
		expect(stdout).toBe('Bearer the-token');
		expect(server.requests.slice(before).map(({url}) => url)).toEqual(['/last']);
	});
});
