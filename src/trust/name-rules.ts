/** Holds CAs to the names that the policies in a CA folder let them give. */
import type {X509Certificate} from 'node:crypto';
import {join} from 'node:path';
import {FileReadError} from '../files/bounded-read.ts';
import {KeptFile} from '../files/kept-file.ts';
import {rfc2253Subject, slashSubject} from '../x509/names.ts';
import {hashesOf} from './ca-folder.ts';
import type {ChainFault} from './fault.ts';
import {parseNamespaces} from './namespaces.ts';
import {onelineSubject} from './oneline-name.ts';
import {type NamePolicy, PolicySyntaxError} from './policy.ts';
import {parseSigningPolicy} from './signing-policy.ts';

/** Real ones have a few kilobytes. */
const largestFile = 256 * 1024;

const kinds = [
	{ending: 'namespaces', parse: parseNamespaces, nameOf: slashSubject},
	{ending: 'signing_policy', parse: parseSigningPolicy, nameOf: onelineSubject},
] as const;

type Ending = (typeof kinds)[number]['ending'];

export class NameRules {
	readonly #files = new Map<string, KeptFile<NamePolicy>>();

	/**
	 * Whether the issuer of `path[0]` may have given it its name; `path` goes on to the root. What a namespaces file
	 * says goes before a signing policy, and a CA's own file before that of one above it. A CA without either may give
	 * any name.
	 */
	check(folders: readonly string[], path: readonly X509Certificate[]): ChainFault | undefined {
		const [certificate, issuer, ...above] = path;
		if (certificate === undefined || issuer === undefined) return undefined;
		let mute: string | undefined;
		for (const {ending, nameOf} of kinds) {
			for (const folder of folders) {
				// A signing policy speaks of its own CA only; a namespaces file also of those below it.
				const authorities: readonly X509Certificate[] =
					ending === 'namespaces' ? [issuer, ...above] : [issuer];
				for (const authority of authorities) {
					for (const file of filesOf(authority, folder, ending)) {
						try {
							const policy = this.#read(file, ending);
							if (policy === undefined) continue;
							const isOwn = authority === issuer;
							const verdict = policy.judge(nameOf(issuer), nameOf(certificate), isOwn);
							if (verdict?.permits) return undefined;
							if (verdict !== undefined) {
								return explainRefusal(certificate, issuer, nameOf(certificate), `${file}:${verdict.line}`);
							}
							if (isOwn) mute ??= file;
						} catch (error) {
							return explainUnusable(certificate, error as UnusablePolicy);
						}
					}
				}
			}
		}
		// Files of its own that do not speak of it permit nothing.
		return mute === undefined ? undefined : explainMute(certificate, issuer, mute);
	}

	/** Mistakes in the policies of these CAs. */
	problems(
		folders: readonly string[],
		authorities: readonly X509Certificate[],
	): Pick<ChainFault, 'kind' | 'what' | 'hint'>[] {
		const found = new Map<string, Pick<ChainFault, 'kind' | 'what' | 'hint'>>();
		for (const {ending} of kinds) {
			for (const authority of authorities) {
				for (const file of folders.flatMap(folder => filesOf(authority, folder, ending))) {
					try {
						for (const {line, what, hint} of this.#read(file, ending)?.warnings ?? []) {
							const told = `of the policy ${file}:${line}, ${what}`;
							found.set(`${file}:${line}`, {kind: 'unusable policy', what: told, hint});
						}
					} catch (error) {
						found.set(file, explainUnusable(authority, error as UnusablePolicy));
					}
				}
			}
		}
		return [...found.values()];
	}

	#read(file: string, ending: Ending): NamePolicy | undefined {
		let kept = this.#files.get(file);
		if (kept === undefined) {
			const {parse} = kinds.find(kind => kind.ending === ending) as (typeof kinds)[number];
			kept = new KeptFile(file, {largest: largestFile, parse});
			this.#files.set(file, kept);
		}
		try {
			return kept.read();
		} catch (error) {
			throw new UnusablePolicy(file, error as Error);
		}
	}
}

function filesOf(authority: X509Certificate, folder: string, ending: Ending): string[] {
	return hashesOf(authority).map(hash => join(folder, `${hash}.${ending}`));
}

class UnusablePolicy extends Error {
	readonly file: string;
	/** `FILE:LINE` where there is a line. */
	readonly place: string;

	constructor(file: string, cause: Error) {
		super(cause.message, {cause});
		this.file = file;
		this.place = cause instanceof PolicySyntaxError ? `${file}:${cause.line}` : file;
	}
}

function explainRefusal(
	certificate: X509Certificate,
	issuer: X509Certificate,
	name: string,
	place: string,
): ChainFault {
	return {
		kind: 'outside namespace',
		certificate,
		file: place.replace(/:\d+$/, ''),
		what: `its CA (${rfc2253Subject(issuer)}) may not give the name ${name}, says ${place}`,
		hint: 'Ask whoever runs the server for a certificate of a CA that may, or bring the CA folder up to date',
	};
}

function explainUnusable(
	certificate: X509Certificate,
	{file, place, message, cause}: UnusablePolicy,
): ChainFault {
	const reason = cause instanceof FileReadError ? `it ${message}` : message;
	return {
		kind: 'unusable policy',
		certificate,
		file,
		what: `which names its CA may give cannot be told from ${place}: ${reason}`,
		hint: 'Correct the file, or bring the CA folder up to date',
	};
}

function explainMute(certificate: X509Certificate, issuer: X509Certificate, file: string): ChainFault {
	return {
		kind: 'outside namespace',
		certificate,
		file,
		what: `its CA (${rfc2253Subject(issuer)}) has a policy, ${file}, which says nothing about it`,
		hint: 'Bring the CA folder up to date',
	};
}
