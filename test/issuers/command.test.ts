/** The contract with the program behind `--authority-command`. */
import {chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {CommandIssuer, splitWords} from '../../src/issuers/command.ts';

let folder: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'gatepass-command-'));
});
afterEach(() => rmSync(folder, {recursive: true}));

/** An authority behind a shell script; `$folder` is its first argument. */
function authority(script: string, timeout?: number): CommandIssuer {
	const file = join(folder, 'ca');
	writeFileSync(file, `#!/bin/sh\nfolder=$1\n${script}\n`);
	chmodSync(file, 0o755);
	return new CommandIssuer([file, folder, "a 'b' $(touch pwned); c"], timeout);
}

const application = {
	request: '-----BEGIN CERTIFICATE REQUEST-----\n',
	subject: 'CN=Robot: cmsprod',
	serviceAccount: 'cmsprod',
	isRenewal: true,
};

describe('request', () => {
	test('the request comes on stdin, the rest in variables, the action as the last argument', async () => {
		const ca = authority(
			'cat > "$folder/in"; env > "$folder/env"; printf "%s\\n" "$@" > "$folder/args"; echo "  order-7 "',
		);
		expect(await ca.request(application)).toEqual({reference: 'order-7'});
		expect(readFileSync(join(folder, 'in'), 'utf8')).toBe(application.request);
		// No shell has looked at the arguments.
		expect(readFileSync(join(folder, 'args'), 'utf8')).toBe(`${folder}\na 'b' $(touch pwned); c\nrequest\n`);
		const environment = readFileSync(join(folder, 'env'), 'utf8').split('\n');
		expect(environment).toEqual(
			expect.arrayContaining([
				'GATEPASS_SUBJECT=CN=Robot: cmsprod',
				'GATEPASS_SERVICE_ACCOUNT=cmsprod',
				'GATEPASS_RENEWAL=1',
			]),
		);
	});

	test('what it complains about is shown, without what a terminal would obey', async () => {
		const ca = authority('echo first >&2; printf "no \\033[31mrobots\\007 here.\\n\\n" >&2; exit 3');
		await expect(ca.request(application)).rejects.toThrow(
			`'${folder}/ca request' ended with 3: no  [31mrobots  here. Run the same command again`,
		);
	});

	test('a silent failure', async () => {
		await expect(authority('exit 4').request(application)).rejects.toThrow(
			'ended with 4 without a word. Run',
		);
	});

	test.each(['true', 'echo two words', 'printf "\\033[1mx"'])('%s gives no reference', async script => {
		await expect(authority(script).request(application)).rejects.toThrow('printed no reference');
	});
});

test.each([
	['exit 0', {state: 'issued'}],
	['exit 75', {state: 'waiting'}],
	[
		'echo "the team leader has to agree" >&2; exit 75',
		{state: 'waiting', detail: 'the team leader has to agree'},
	],
	['echo "not your account" >&2; exit 1', {state: 'refused', detail: 'not your account'}],
])('poll: %s', async (script, state) => {
	expect(
		await authority(`[ "$GATEPASS_REFERENCE" = "order-7" ] || exit 9\n${script}`).poll('order-7'),
	).toEqual(state);
});

test('collect: what it prints, byte by byte', async () => {
	expect(await authority('printf "\\060\\202\\377\\000$GATEPASS_REFERENCE"').collect('7')).toEqual(
		Buffer.from([0x30, 0x82, 0xff, 0x00, 0x37]),
	);
	await expect(authority('exit 75').collect('7')).rejects.toThrow('collect');
});

test('revoke: the certificate on stdin, the reason in a variable', async () => {
	const ca = authority('cat > "$folder/in"; echo "$GATEPASS_REASON $3" > "$folder/reason"');
	expect(await ca.revoke('PEM', 'keyCompromise')).toEqual({});
	expect(readFileSync(join(folder, 'in'), 'utf8')).toBe('PEM');
	expect(readFileSync(join(folder, 'reason'), 'utf8')).toBe('keyCompromise revoke\n');
});

describe('a program that cannot be used', () => {
	test('it is not there', async () => {
		await expect(new CommandIssuer([join(folder, 'none')]).poll('1')).rejects.toThrow(
			/There is no program .*none/,
		);
	});

	test('it may not be run', async () => {
		writeFileSync(join(folder, 'plain'), '', {mode: 0o644});
		await expect(new CommandIssuer([join(folder, 'plain')]).poll('1')).rejects.toThrow(
			/may not be run.*chmod \+x/,
		);
	});

	test('it does not end', async () => {
		await expect(authority('exec sleep 60', 200).poll('1')).rejects.toThrow('did not end within 200 ms');
	});

	test('it does not stop talking', async () => {
		await expect(authority('exec yes').collect('1')).rejects.toThrow('printed more than 1048576 bytes');
	});

	test('it reads nothing', async () => {
		const large = {...application, request: 'x'.repeat(1_000_000)};
		expect(await authority('exec 0<&-; echo 1').request(large)).toEqual({reference: '1'});
	});
});

test.each([
	['ca', ['ca']],
	['  ca  --site cern ', ['ca', '--site', 'cern']],
	[`'/opt/our ca/run' --name "it's" a'b c'd`, ['/opt/our ca/run', '--name', "it's", 'ab cd']],
	[`ca '' ""`, ['ca', '', '']],
	['ca $HOME `id` $(id) ; | > & *', ['ca', '$HOME', '`id`', '$(id)', ';', '|', '>', '&', '*']],
	['', []],
])('the words of %j', (command, words) => {
	expect(splitWords(command)).toEqual(words);
});

test.each([`ca 'open`, 'ca "open', `ca "a'b`])('%j is not closed', command => {
	expect(() => splitWords(command)).toThrow('is not closed');
});
