/** Loads configurations from a temporary folder, for the tests beside it. */
import 'reflect-metadata';
import {mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {onTestFinished} from 'vitest';
import {type LoadRequest, loadConfiguration} from '../../src/config/load.ts';
import {builtInStrategies} from '../../src/container.ts';
import {ConfigurationError, type Problem} from '../../src/errors.ts';

/** A folder with these files, which goes when the test ends. */
export function folderWith(files: Readonly<Record<string, string>>): string {
	const folder = realpathSync(mkdtempSync(join(tmpdir(), 'gatepass-config-')));
	onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
	for (const [name, text] of Object.entries(files)) {
		mkdirSync(dirname(join(folder, name)), {recursive: true});
		writeFileSync(join(folder, name), text);
	}
	return folder;
}

/** Load as `createGatepass` does. */
export function load(request: Partial<LoadRequest>) {
	return loadConfiguration({
		cwd: folderWith({}),
		env: {},
		builtIn: builtInStrategies,
		strategies: [],
		...request,
	});
}

/** The mistakes found; none where it loads. Any other error is thrown on. */
export async function problemsOf(request: Partial<LoadRequest>): Promise<readonly Problem[]> {
	try {
		await load(request);
		return [];
	} catch (error) {
		if (error instanceof ConfigurationError) return error.problems;
		throw error;
	}
}

/** The mistakes in the text of a `gatepass.config.yaml`. */
export function problemsInYaml(
	text: string,
	request: Partial<LoadRequest> = {},
): Promise<readonly Problem[]> {
	return problemsOf({cwd: folderWith({'gatepass.config.yaml': text}), ...request});
}
