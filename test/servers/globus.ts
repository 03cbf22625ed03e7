/** Globus's own library, asked what it thinks of names under signing policies, and of chains in a CA folder. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {globSync} from 'node:fs';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {findProgram, type RealServer} from './availability.ts';

export const globus: RealServer = {
	name: "Globus's library",
	install: 'apt-get install globus-proxy-utils python3',
	whyUnavailable() {
		if (findProgram('python3') === undefined) return 'there is no python3';
		const library = globSync('/{usr/,}lib{,64}/{*-linux-gnu/,}libglobus_oldgaa.so.0');
		return library.length > 0 ? undefined : 'there is no libglobus_oldgaa';
	},
};

export type GlobusVerdict = 'permitted' | 'refused' | 'crashed';

export interface PolicyQuestion {
	/** A signing policy. */
	readonly file: string;
	readonly issuer: string;
	readonly subject: string;
}

/** What it says to each question, in their order. */
export function askGlobusPolicy(questions: readonly PolicyQuestion[]): Promise<GlobusVerdict[]> {
	return ask('globus-policy.py', questions);
}

export interface ChainQuestion {
	/** A hashed CA folder. */
	readonly folder: string;
	/** A PEM file with a certificate, followed by those between it and the root. */
	readonly chain: string;
}

/** The same for whole chains: signatures, times, policies. */
export function askGlobusChain(questions: readonly ChainQuestion[]): Promise<GlobusVerdict[]> {
	return ask('globus-chain.py', questions);
}

async function ask(program: string, questions: readonly object[]): Promise<GlobusVerdict[]> {
	const child = spawn(findProgram('python3') as string, [join(import.meta.dirname, program)], {
		stdio: ['pipe', 'pipe', 'inherit'],
	});
	const answers = text(child.stdout);
	child.stdin.end(questions.map(question => `${JSON.stringify(question)}\n`).join(''));
	const [code] = await once(child, 'close');
	if (code !== 0) throw new Error(`${program} ended with ${code}`);
	return (await answers).trim().split('\n') as GlobusVerdict[];
}
