/** What errors tell people to run: an option that there is not would lead nowhere. */
import {execFile} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {expect, test} from 'vitest';

const root = join(import.meta.dirname, '../..');
const main = join(root, 'dist/src/cli/main.js');

/** Commands in single quotes, with the names of their options: `explain`, `--all`. */
function* commandsIn(text: string): Generator<{command: string; option: string}> {
	for (const [, command = '', rest = ''] of text.matchAll(
		/'gatepass ((?:(?:bundle|cert|token) )?[a-z]+)([^'\n]*)'/g,
	)) {
		for (const [, option = ''] of rest.matchAll(/ (--?[a-zA-Z-]+)/g)) yield {command, option};
	}
}

function optionsNamed(): Map<string, Set<string>> {
	const found = new Map<string, Set<string>>();
	for (const folder of ['src', 'strategies']) {
		for (const file of readdirSync(join(root, folder), {recursive: true, encoding: 'utf8'})) {
			if (!file.endsWith('.ts')) continue;
			for (const {command, option} of commandsIn(readFileSync(join(root, folder, file), 'utf8'))) {
				found.set(command, (found.get(command) ?? new Set()).add(option));
			}
		}
	}
	return found;
}

test('every option that a message of gatepass names is there', async () => {
	const named = optionsNamed();
	expect(named.get('explain')).toContain('-X');
	for (const [command, options] of named) {
		const {stdout} = await promisify(execFile)(process.execPath, [main, ...command.split(' '), '--help']);
		const words = stdout.split(/[\s,=]+/);
		for (const option of options) expect(words, `gatepass ${command} ${option}`).toContain(option);
	}
});
