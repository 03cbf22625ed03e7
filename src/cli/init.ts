/** `gatepass init`: writes a configuration to start from, and a list of the variables that it needs. */
import {mkdir, writeFile} from 'node:fs/promises';
import {dirname, extname, join, resolve} from 'node:path';
import type {Command} from 'commander';
import {GatepassError} from '../errors.ts';
import {UsageError} from './failure.ts';
import {templatesFor} from './init-templates.ts';
import {paint, print, printJson, shortPath} from './output.ts';
import {examples, optionsOf} from './settings.ts';

interface InitOptions {
	readonly force?: boolean;
	readonly bundle?: string;
}

interface NewFile {
	readonly path: string;
	readonly text: string;
}

export function addInitCommand(program: Command): void {
	program
		.command('init')
		.summary('write a configuration to start from')
		.description(
			'Write a commented gatepass.config.yaml, and a .env.example that lists the variables it needs. ' +
				'With -c, that file, and .env.example beside it. Files that exist are left alone unless --force is given.',
		)
		.option('-f, --force', 'write over files that exist')
		.option('-b, --bundle <name>', 'with the presets of an organisation: cern, igtf or a folder')
		.addHelpText(
			'after',
			examples('gatepass init', 'gatepass init --bundle cern', 'gatepass init -c config/gatepass.yaml'),
		)
		.action(async (_own: unknown, command: Command) => {
			const {config = 'gatepass.config.yaml', json, force = false, bundle} = optionsOf<InitOptions>(command);
			if (bundle !== undefined) await checkBundle(bundle);
			const templates = templatesFor(bundle);
			if (!['.yaml', '.yml'].includes(extname(config))) {
				throw new UsageError(`'init' writes YAML. Give -c a name that ends in .yaml, not ${config}`);
			}
			const configuration = resolve(config);
			const example = join(dirname(configuration), '.env.example');
			const files = [
				{path: configuration, text: templates.configuration},
				{path: example, text: templates.environment},
			];
			await writeNew(files, force);
			if (json) printJson({written: files.map(({path}) => path)});
			else print(describe(configuration, example));
		});
}

async function checkBundle(name: string): Promise<void> {
	const {bundleNames, findBundle} = await import('../bundles/bundle.ts');
	if (findBundle(name) !== undefined) return;
	throw new UsageError(
		`There is no bundle '${name}'. Give one of ${bundleNames().join(', ')}, or the folder of another`,
	);
}

async function writeNew(files: readonly NewFile[], force: boolean): Promise<void> {
	const existing: string[] = [];
	if (!force) {
		const {existsSync} = await import('node:fs');
		existing.push(...files.map(({path}) => path).filter(path => existsSync(path)));
	}
	// All are looked at before the first is written, so that there is never half of a set.
	if (existing.length > 0) throw alreadyThere(existing);
	for (const {path, text} of files) {
		try {
			await mkdir(dirname(path), {recursive: true});
			await writeFile(path, text, {flag: force ? 'w' : 'wx'});
		} catch (error) {
			const {code} = error as NodeJS.ErrnoException;
			if (code === 'EEXIST') throw alreadyThere([path]);
			throw new GatepassError(
				{
					code: 'output-not-writable',
					what: `${path} cannot be written (${code})`,
					hint: 'Choose another place with -c',
				},
				{
					cause: error,
				},
			);
		}
	}
}

function alreadyThere(paths: readonly string[]): GatepassError {
	const verb = paths.length === 1 ? 'is' : 'are';
	return new GatepassError({
		code: 'output-exists',
		what: `${paths.map(shortPath).join(' and ')} ${verb} there already`,
		hint: 'Nothing was written; --force writes over what is there',
	});
}

function describe(configuration: string, example: string): string {
	const doctor = `gatepass doctor${configuration === resolve('gatepass.config.yaml') ? '' : ` -c ${shortPath(configuration)}`}`;
	const env = join(dirname(example), '.env');
	return [
		`${paint('green', '✔')} wrote ${shortPath(configuration)} and ${shortPath(example)}`,
		'',
		'Next:',
		`  1. Change the rules in ${shortPath(configuration)} to the hosts you need.`,
		`  2. Run 'cp ${shortPath(example)} ${shortPath(env)} && chmod 600 ${shortPath(env)}', fill it in, and keep it out of version control.`,
		`  3. Run '${doctor}' to see whether all is well.`,
	].join('\n');
}
