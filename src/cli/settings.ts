/** What all commands share: the global options, the gatepass of the configuration, URLs as people type them. */
import type {Command} from 'commander';
import type {Gatepass} from '../gatepass.ts';
import {UsageError} from './failure.ts';

export interface GlobalOptions {
	/** The file given with `-c`. */
	readonly config?: string;
	readonly json?: boolean;
}

/** The command's own options and the global ones. */
export function optionsOf<Options>(command: Command): Options & GlobalOptions {
	return command.optsWithGlobals();
}

/** Do `work` with the gatepass of the configuration, and close it whatever happens. */
export async function withGatepass<Result>(
	{config, json}: GlobalOptions,
	work: (gatepass: Gatepass) => Promise<Result>,
): Promise<Result> {
	// Loaded here, so that help and usage errors come at once.
	const {createGatepass, Passphrases} = await import('../index.ts');
	const [{container: root}, {TerminalPassphrases}] = await Promise.all([
		// Does not start without the polyfill that gatepass brings along.
		import('tsyringe'),
		import('./terminal-passphrases.ts'),
	]);
	const container = root.createChildContainer();
	container.register(Passphrases, {useValue: new TerminalPassphrases(json)});
	const gatepass = await createGatepass({container, ...(config !== undefined && {config})});
	try {
		return await work(gatepass);
	} finally {
		await gatepass.close();
		await container.dispose();
	}
}

/** A URL as typed: `https` when the scheme is left out, as in a rule's pattern. */
export function parseUrl(text: string): URL {
	const url = URL.parse(/^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `https://${text}`);
	// Not repeated: what was typed in the place of a URL may be anything.
	if (url === null || url.hostname === '') {
		throw new UsageError('The argument is no URL. Give one such as https://api.example.org/runs');
	}
	if (url.protocol !== 'https:' && url.protocol !== 'http:') {
		throw new UsageError(
			`The URL starts with ${url.protocol}//. Give one that starts with https:// or http://`,
		);
	}
	return url;
}

/** A method as typed, in upper case. */
export function parseMethod(text: string): string {
	if (!/^[A-Za-z][A-Za-z-]*$/.test(text)) {
		throw new UsageError('The value of -X is no HTTP method. Give one such as GET, POST or DELETE');
	}
	return text.toUpperCase();
}

/** Text below the help of a command: what it does in detail, and examples. */
export function examples(...lines: readonly string[]): string {
	return `\nExamples:\n${lines.map(line => `  ${line}`).join('\n')}`;
}

/** A URL to be shown: no user information, and no query, which may hold a secret. */
export function withoutSecrets(url: URL): string {
	return `${url.origin}${url.pathname}${url.search === '' ? '' : '?…'}`;
}
