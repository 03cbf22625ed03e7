/** Shows each name as it moves: a block that changes on a terminal, plain lines elsewhere, JSON lines for machines. */
import process from 'node:process';
import type {Progress} from '../issuers/acme/obtain.ts';
import {paint} from './output.ts';

const marks: Readonly<Record<Progress['state'], string>> = {
	pending: '…',
	challenge: '→',
	valid: '✔',
	failed: '✖',
	issued: '✔',
};

export class ObtainProgress {
	readonly #json: boolean;
	readonly #lines = new Map<string, string>();
	#drawn = 0;

	constructor(json: boolean | undefined) {
		this.#json = json === true;
	}

	readonly show = (progress: Progress): void => {
		const {domain, state, detail} = progress;
		const {stderr} = process;
		if (this.#json) {
			stderr.write(`${JSON.stringify({progress})}\n`);
			return;
		}
		// A failure is told in full at the end.
		const more = detail === undefined || state === 'failed' ? '' : ` (${detail})`;
		const line = `${paint(colourOf(state), marks[state], stderr)} ${domain}: ${state}${more}`;
		if (!stderr.isTTY || process.env.TERM === 'dumb') {
			stderr.write(`${line}\n`);
			return;
		}
		this.#lines.set(domain, line);
		const up = this.#drawn === 0 ? '' : `\u001B[${this.#drawn}A`;
		stderr.write(up + [...this.#lines.values()].map(one => `\u001B[2K${one}\n`).join(''));
		this.#drawn = this.#lines.size;
	};
}

function colourOf(state: Progress['state']): 'green' | 'red' | 'cyan' {
	return state === 'failed' ? 'red' : state === 'valid' || state === 'issued' ? 'green' : 'cyan';
}
