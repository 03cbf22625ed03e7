/** Programs for the tests of `command`: shell scripts that count their runs, in a folder of their own. */
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach} from 'vitest';

export interface Programs {
	/** Where they are, made again for each test. */
	readonly folder: string;
	/** A command that runs this shell script. */
	write(script: string): Promise<string[]>;
	/** A command that prints a text. */
	printing(text: string, more?: string): Promise<string[]>;
	/** How often they were run. */
	runs(): Promise<number>;
}

/** To be called once in a file. */
export function programsForEachTest(): Programs {
	let folder = '';
	let written = 0;
	beforeEach(async () => {
		folder = await mkdtemp(join(tmpdir(), 'gatepass-command-'));
	});
	afterEach(() => rm(folder, {recursive: true, force: true}));
	const write = async (script: string): Promise<string[]> => {
		const file = join(folder, `program-${written++}`);
		await writeFile(file, `#!/bin/sh\necho run >>'${folder}/runs'\n${script}\n`, {mode: 0o755});
		return [file];
	};
	return {
		get folder() {
			return folder;
		},
		write,
		async printing(text, more = '') {
			const output = join(folder, `output-${written++}`);
			await writeFile(output, text);
			return write(`cat '${output}'\n${more}`);
		},
		async runs() {
			const told = await readFile(join(folder, 'runs'), 'utf8').catch(() => '');
			return told.split('\n').length - 1;
		},
	};
}
