/** Asks on the terminal what a key is encrypted with. What is typed is not shown, and is kept in memory only. */
import type {Passphrases} from '../strategy/services.ts';
import {ask} from './ask.ts';
import {canAsk} from './cert-questions.ts';
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
		const answer = this.#previous.then(() => askFor(file));
		this.#previous = answer;
		return answer;
	}
}

async function askFor(file: string): Promise<string> {
	stopProgress();
	const {password} = await import('@clack/prompts');
	// Not even how long it is.
	return ask(settings => password({...settings, message: `Passphrase of ${shortPath(file)}`, mask: ''}));
}
