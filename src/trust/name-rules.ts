/** Holds CAs to the names that the policies in a CA folder let them give. */
import type {X509Certificate} from 'node:crypto';
import {join} from 'node:path';
import {FileReadError} from '../files/bounded-read.ts';
import {KeptFile} from '../files/kept-file.ts';
import {rfc2253Subject, slashSubject} from '../x509/names.ts';
import {hashesOf} from './ca-folder.ts';
import type {ChainFault} from './fault.ts';
import {comparableName} from './name-pattern.ts';
import {parseNamespaces} from './namespaces.ts';
import {type NameRule, PolicySyntaxError, parseSigningPolicy} from './signing-policy.ts';

/** Real ones have a few kilobytes. */
const largestFile = 256 * 1024;

const kinds = [
	{ending: 'namespaces', parse: parseNamespaces},
	{ending: 'signing_policy', parse: parseSigningPolicy},
] as const;

type Ending = (typeof kinds)[number]['ending'];

export class NameRules {
	readonly #files = new Map<string, KeptFile<readonly NameRule[]>>();

	/**
	 * Whether the issuer of `path[0]` may have given it its name; `path` goes on to the root. What a namespaces file
	 * says goes before a signing policy, and a CA's own file before that of one above it. A CA without either may give
	 * any name.
	 */
	check(folders: readonly string[], path: readonly X509Certificate[]): ChainFault | undefined {
		const [certificate, issuer, ...above] = path;
		if (certificate === undefined || issuer === undefined) return undefined;
		const hashes = hashesOf(issuer);
		for (const {ending} of kinds) {
			for (const folder of folders) {
				// A signing policy speaks of its own CA only; a namespaces file also of those below it.
				const authorities = ending === 'namespaces' ? [issuer, ...above] : [issuer];
				for (const authority of authorities) {
					try {
						const found = this.#rulesFor(issuer, authority, folder, ending);
						if (found !== undefined) return judge(certificate, issuer, found);
					} catch (error) {
						return explainUnusable(certificate, error as UnusablePolicy);
					}
				}
			}
		}
		// Files of its own that do not speak of it permit nothing.
		const mute = kinds
			.flatMap(({ending}) => folders.flatMap(folder => hashes.map(hash => join(folder, `${hash}.${ending}`))))
			.find(file => this.#files.get(file)?.read() !== undefined);
		return mute === undefined ? undefined : explainMute(certificate, issuer, mute);
	}

	/** Mistakes in the policies of these CAs. */
	problems(folders: readonly string[], authorities: readonly X509Certificate[]): ChainFault[] {
		const found = new Map<string, ChainFault>();
		for (const {ending} of kinds) {
			for (const authority of authorities) {
				for (const folder of folders) {
					try {
						this.#rulesFor(authority, authority, folder, ending);
					} catch (error) {
						const fault = explainUnusable(authority, error as UnusablePolicy);
						found.set((error as UnusablePolicy).file, fault);
					}
				}
			}
		}
		return [...found.values()];
	}

	/** The rules for `issuer` in the file of `authority`; `undefined` where it has none for it. */
	#rulesFor(
		issuer: X509Certificate,
		authority: X509Certificate,
		folder: string,
		ending: Ending,
	): {file: string; rules: readonly NameRule[]} | undefined {
		const name = comparableName(slashSubject(issuer));
		for (const hash of hashesOf(authority)) {
			const file = join(folder, `${hash}.${ending}`);
			const rules = this.#read(file, ending)?.filter(rule =>
				rule.issuer === undefined ? authority === issuer : rule.issuer === name,
			);
			if (rules !== undefined && rules.length > 0) return {file, rules};
		}
		return undefined;
	}

	#read(file: string, ending: Ending): readonly NameRule[] | undefined {
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

function judge(
	certificate: X509Certificate,
	issuer: X509Certificate,
	{file, rules}: {file: string; rules: readonly NameRule[]},
): ChainFault | undefined {
	const written = slashSubject(certificate);
	const name = comparableName(written);
	const matching = rules.filter(({subject}) => subject.matches(name));
	const denying = matching.find(({permits}) => !permits);
	if (denying === undefined && matching.length > 0) return undefined;
	const line = (denying ?? rules[0])?.line;
	return {
		kind: 'outside namespace',
		certificate,
		file,
		what: `its CA (${rfc2253Subject(issuer)}) may not give the name ${written}, says ${file}:${line}`,
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
		hint: 'Mend the file, or bring the CA folder up to date',
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
