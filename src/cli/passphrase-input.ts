/** The passphrase of a file that a command was given: from a file, or from who sits at the terminal. */
import {readFile} from 'node:fs/promises';
import process from 'node:process';
import {GatepassError} from '../errors.ts';
import {resolvePath} from '../strategy/paths.ts';
import {isPassphraseNeeded} from '../x509/passphrase.ts';
import {canAsk} from './cert-questions.ts';
import {UsageError} from './failure.ts';
import {TerminalPassphrases} from './terminal-passphrases.ts';

export interface PassphraseOptions {
	/** The first line of this file is the passphrase. */
	readonly passphraseFile?: string;
	readonly json?: boolean;
}

/**
 * Do `work` with the passphrase of `file`: the one of `--passphrase-file`, or none, or, where one is needed, the one
 * that is typed.
 */
export async function withPassphrase<Result>(
	file: string,
	{passphraseFile, json}: PassphraseOptions,
	work: (passphrase: string | undefined) => Promise<Result>,
): Promise<Result> {
	if (passphraseFile !== undefined) return work(await readPassphrase(passphraseFile));
	try {
		return await work(undefined);
	} catch (error) {
		if (!isPassphraseNeeded(error)) throw error;
		if (!canAsk(json)) {
			throw new UsageError(
				`${file} is encrypted, and nobody is there to type its passphrase. Give a file that holds it with --passphrase-file`,
			);
		}
	}
	return work(await new TerminalPassphrases(json).find(file));
}

/** Also from a pipe, as in `--passphrase-file <(pass show grid)` or `--passphrase-file /dev/stdin`. */
async function readPassphrase(written: string): Promise<string> {
	const file = resolvePath(written, process.cwd(), process.env);
	const text = await readFile(file, 'utf8').catch(({code}: NodeJS.ErrnoException) => {
		throw new GatepassError({
			code: 'named-file-unreadable',
			what: `The passphrase file ${file} cannot be read (${code})`,
			hint: 'Name one that is there and readable with --passphrase-file',
		});
	});
	return text.replace(/^\uFEFF/, '').split(/\r?\n/, 1)[0] as string;
}
