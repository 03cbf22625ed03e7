/** `gatepass run` stands between a command and who started it, and neither notices: terminal, jobs, signals, bytes, files. */
import {spawn} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {once} from 'node:events';
import {mkdirSync, readdirSync, readFileSync} from 'node:fs';
import {buffer} from 'node:stream/consumers';
import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {createWorkspace, type Workspace} from '../cli/command-line.ts';
import {quote} from './programs.ts';

const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const run = `${process.execPath} ${main} run --`;

let workspace: Workspace;
beforeAll(async () => {
	workspace = await createWorkspace({
		cache: {url: 'memory:'},
		hostRules: [{match: 'https://example.org', strategy: 'static-token', options: {token: 'the-token'}}],
	});
	mkdirSync(workspace.path('runtime'), {mode: 0o700});
});
afterAll(() => workspace.close());

interface Terminal {
	/** Resolves when all has ended. */
	readonly closed: Promise<unknown>;
	type(text: string): void;
	shown(pattern: RegExp): Promise<RegExpExecArray>;
}

/** A shell on a terminal of its own, which runs `script`, or jobs that are typed. */
function openTerminal(script?: string): Terminal {
	const shell = script === undefined ? 'bash --norc --noprofile -i' : `sh -c ${quote(script)}`;
	const child = spawn('script', ['-qefc', shell, '/dev/null'], {
		cwd: workspace.folder,
		env: environment(),
	});
	let output = '';
	child.stdout.on('data', data => {
		output += data;
	});
	return {
		closed: once(child, 'close'),
		type: text => void child.stdin.write(text),
		async shown(pattern) {
			await expect.poll(() => output).toMatch(pattern);
			return pattern.exec(output) as RegExpExecArray;
		},
	};
}

function environment(): Record<string, string> {
	return {
		PATH: process.env.PATH ?? '',
		HOME: workspace.folder,
		TERM: 'dumb',
		PS1: 'shell> ',
		XDG_RUNTIME_DIR: workspace.path('runtime'),
	};
}

/** Tells each SIGINT, and its own number; ends when a line is typed. */
const counting = `
import os, signal
count = 0
def note(*_):
    global count
    count += 1
    print("interrupted", count, flush=True)
signal.signal(signal.SIGINT, note)
print("ready", os.getpid(), flush=True)
line = open("/dev/tty").readline()
print("ends with", line.strip(), "after", count, flush=True)
raise SystemExit(7)`;
const count = `/usr/bin/python3 -c ${quote(counting)}`;

const stateOf = (pid: string): string =>
	/^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';

describe('on a terminal', () => {
	it.each([
		['', ''],
		[', with another stdin', ' </dev/null'],
	])(
		'an interruption from the keyboard comes once%s, and is for the command to follow',
		async (_name, redirect) => {
			const {type, shown, closed} = openTerminal(`trap : INT; ${run} ${count}${redirect}; echo "status $?"`);
			await shown(/ready/);
			type('\u0003');
			await shown(/interrupted 1/);
			type('now\n');
			await shown(/ends with now after 1\s+status 7/);
			await closed;
		},
	);

	it('a command that does not follow it ends, and its shell sees by what', async () => {
		const {type, shown, closed} = openTerminal();
		type(`${run} sh -c 'echo rea""dy; exec sleep 1000'; echo "status $?"\n`);
		await shown(/ready/);
		type('\u0003');
		// An interactive shell gives the whole line up.
		type('echo "was $?"\n');
		await shown(/was 130/);
		type('exit\n');
		await closed;
	});

	it('is suspended and continued with the command', async () => {
		const {type, shown, closed} = openTerminal();
		type(`${run} ${count}; echo "status $?"\n`);
		const [, pid = ''] = await shown(/ready (\d+)/);
		type('\u001a');
		await shown(/Stopped/);
		expect(stateOf(pid)).toBe('T');
		type('fg\n');
		await expect.poll(() => stateOf(pid)).not.toBe('T');
		type('again\n');
		await shown(/ends with again after 0/);
		type('exit\n');
		await closed;
	});

	it('leaves the jobs of a shell to that shell', async () => {
		const {type, shown, closed} = openTerminal();
		type(`${run} bash --norc --noprofile -i\n`);
		await shown(/shell> [\s\S]*shell> /);
		type(`${count} | cat\n`);
		const [, pid = ''] = await shown(/ready (\d+)/);
		type('\u001a');
		await shown(/Stopped/);
		type('echo "in the $((40 + 2))nd"; fg\n');
		await shown(/in the 42nd/);
		await expect.poll(() => stateOf(pid)).not.toBe('T');
		type('inside\n');
		await shown(/ends with inside after 0/);
		type('exit 9\n');
		type('echo "outer $?"\n');
		await shown(/outer 9/);
		type('exit\n');
		await closed;
	});
});

describe('without a terminal', () => {
	/** A shell with jobs, each in a group of its own, in a session without a terminal. */
	async function inSession(script: string): Promise<string> {
		const child = spawn('setsid', ['--wait', 'bash', '-c', `set -m\n${script}`], {
			cwd: workspace.folder,
			env: environment(),
			// What bash tells of its jobs.
			stdio: ['ignore', 'pipe', 'ignore'],
		});
		return (await buffer(child.stdout)).toString();
	}
	/** Waits until both processes are in a state. In another shell: bash gives a loop up when one of its jobs stops. */
	const both = (state: string): string =>
		`sh -c 'until [ "$(cat /proc/$1/status /proc/$2/status | grep -c "^State:.${state}")" = 2 ]; do sleep 0.02; done' sh $! $command`;

	it('who suspends it suspends the command, and who continues it continues both', async () => {
		const printed = await inSession(`
${run} sh -c 'echo $$ > pid; exec sleep 1000' &
until [ -s pid ]; do sleep 0.02; done
command=$(cat pid)
kill -TSTP $!
${both('T')}
echo suspended
kill -CONT $!
${both('[SR]')}
echo continued
kill -INT $!
wait $!
echo "ended by $?"
`);
		expect(printed).toBe('suspended\ncontinued\nended by 130\n');
	});

	it.each([
		['KILL', 137],
		['SEGV', 139],
		['PIPE', 141],
	])('ends as a command does that ends by SIG%s, and leaves no file', async (signal, status) => {
		const printed = await inSession(`${run} sh -c 'kill -${signal} $$'\necho $?`);
		expect(printed).toBe(`${status}\n`);
		expect(readdirSync(workspace.path('runtime'))).toEqual([]);
	});

	it('hands every byte through, and ends when nobody reads on', async () => {
		const child = workspace.start(['run', '--', 'cat']);
		const bytes = randomBytes(3_000_000);
		child.stdin?.end(bytes);
		expect(bytes.equals(await buffer(child.stdout as NodeJS.ReadableStream))).toBe(true);
		expect(await inSession(`${run} yes | head -1\necho "\${PIPESTATUS[0]}"`)).toBe('y\n141\n');
	});

	it('shows the secret to the command alone: not in a file, and not among the arguments', async () => {
		const script = `
secret=$(echo "$HTTPS_PROXY" | sed 's/.*gatepass:\\(.*\\)@.*/\\1/')
[ \${#secret} = 43 ] || echo "no secret"
cd "$(dirname "$SSL_CERT_FILE")"
stat -c %a .
grep -rlF -e "$secret" -e 'PRIVATE KEY' . "$X509_CERT_DIR"/*.0 || echo "in no file"
ps -eww -o args | grep -F "$secret" | grep -v grep || echo "in no argument"`;
		const {stdout} = await workspace.run(['run', '--', 'sh', '-c', script]);
		expect(stdout).toBe('700\nin no file\nin no argument\n');
	});
});
