/** Asks on the terminal what a key is encrypted with. What is typed is not shown, and is kept in memory only. */
import process from 'node:process';
import type {Passphrases} from '../strategy/services.ts';
import {canAsk} from './cert-questions.ts';
import {exitCodes} from './exit-codes.ts';
import {shortPath} from './output.ts';
import {stopProgress} from './progress.ts';

export class TerminalPassphrases implements Passphrases {
	readonly #canAsk: boolean;
	/** One question at a time. */
	#previous: Promise<unknown> = Promise.resolve();

	/** @param json whether the command is used by a machine, which is asked nothing. */
	constructor(json: boolean | undefined) {
		this.#canAsk = canAsk(json);
	}

	async find(file: string): Promise<string | undefined> {
		if (!this.#canAsk) return undefined;
		const answer = this.#previous.then(() => ask(file));
		this.#previous = answer;
		return answer;
	}
}

async function ask(file: string): Promise<string> {
	stopProgress();
	const {isCancel, password} = await import('@clack/prompts');
	// Not even how long it is.
	const answer = await password({
		message: `Passphrase of ${shortPath(file)}`,
		mask: '',
		output: process.stderr,
	});
	// As any other command that is interrupted.
	if (isCancel(answer)) process.exit(exitCodes.interrupted);
	return answer;
}
