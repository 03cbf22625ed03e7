/** Puts certificates into Apache: into each `<VirtualHost>` that is for one of their names. */
import {globSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {dirname, resolve} from 'node:path';
import type {Checkpoints} from './checkpoints.ts';
import type {DeployedLineage, Enhancements} from './installer.ts';
import {
	editsByFile,
	type FileChanges,
	headersOf,
	isFor,
	noServerFor,
	type WebServer,
	WebServerInstaller,
	type WebServerSettings,
} from './web-server.ts';

export function apacheInstaller(settings: WebServerSettings, checkpoints: Checkpoints): WebServerInstaller {
	const {configuration = '/etc/apache2/apache2.conf', port = 443} = settings;
	return new WebServerInstaller(
		new Apache(configuration, port),
		{
			testCommand: settings.testCommand ?? 'apache2ctl configtest',
			reloadCommand: settings.reloadCommand ?? 'apache2ctl graceful',
			folder: dirname(configuration),
		},
		checkpoints,
	);
}

interface VirtualHost {
	readonly file: string;
	/** The lines of its file; the first is the one with `<VirtualHost`. */
	readonly lines: readonly string[];
	readonly first: number;
	/** The line with `</VirtualHost>`. */
	readonly last: number;
	readonly addresses: readonly string[];
	readonly names: readonly string[];
	readonly isSecure: boolean;
}

/** A change of lines: those from `at` on, as many as `remove`, go. */
interface LineEdit {
	readonly at: number;
	readonly remove: number;
	readonly lines: readonly string[];
}

class Apache implements WebServer {
	readonly name = 'apache';
	readonly #configuration: string;
	readonly #port: number;

	constructor(configuration: string, port: number) {
		this.#configuration = configuration;
		this.#port = port;
	}

	async deploy({domains, paths}: DeployedLineage): Promise<FileChanges> {
		const hosts = await this.#hostsFor(domains);
		const secure = hosts.filter(({isSecure}) => isSecure);
		if (secure.length > 0) {
			return change(secure, host => [
				...set(host, 'SSLCertificateFile', paths.fullchain),
				...set(host, 'SSLCertificateKeyFile', paths.privkey),
				// Older ones name the chain apart, which is in the first file now.
				...remove(host, 'SSLCertificateChainFile'),
			]);
		}
		// A second one beside the one for http, with all that it has.
		const [plain] = hosts as [VirtualHost];
		const copy = [
			`<VirtualHost *:${this.#port}>`,
			...plain.lines.slice(plain.first + 1, plain.last),
			'\tSSLEngine on',
			`\tSSLCertificateFile ${quote(paths.fullchain)}`,
			`\tSSLCertificateKeyFile ${quote(paths.privkey)}`,
			'</VirtualHost>',
		];
		return change([plain], () => [{at: plain.last + 1, remove: 0, lines: copy}]);
	}

	async enhance({domains}: DeployedLineage, enhancements: Enhancements): Promise<FileChanges> {
		const {redirect, stapling} = enhancements;
		const headers = headersOf(enhancements);
		return change(await this.#hostsFor(domains), host => {
			if (!host.isSecure) {
				const [name = domains[0] ?? ''] = host.names;
				const isThere = find(host, 'Redirect').some(line => /https:/i.test(host.lines[line] ?? ''));
				return redirect === true && !isThere ? [insert(host, `Redirect permanent / https://${name}/`)] : [];
			}
			return [
				...Object.entries(headers).flatMap(([name, value]) => {
					const isThere = find(host, 'Header').some(line =>
						host.lines[line]?.toLowerCase().includes(name.toLowerCase()),
					);
					return isThere ? [] : [insert(host, `Header always set ${name} ${quote(value, true)}`)];
				}),
				...(stapling === true ? set(host, 'SSLUseStapling', 'on') : []),
			];
		});
	}

	async #hostsFor(domains: readonly string[]): Promise<VirtualHost[]> {
		const hosts = await this.#hostsIn(this.#configuration, new Set(), {root: dirname(this.#configuration)});
		const found = hosts.filter(({names}) => names.some(name => isFor(name, domains)));
		if (found.length === 0) throw noServerFor('Apache', this.#configuration, domains);
		return found;
	}

	/** The virtual hosts of a file and of those that it includes. */
	async #hostsIn(file: string, seen: Set<string>, state: {root: string}): Promise<VirtualHost[]> {
		if (seen.has(file)) return [];
		seen.add(file);
		const lines = (await readFile(file, 'utf8')).split('\n');
		const hosts: VirtualHost[] = [];
		let first = -1;
		for (const [index, line] of lines.entries()) {
			const [, word = '', rest = ''] = /^\s*(<?\/?\w+)\s*(.*?)\s*>?\s*$/.exec(line) ?? [];
			switch (word.toLowerCase()) {
				case 'serverroot':
					state.root = unquote(rest);
					break;
				case 'include':
				case 'includeoptional':
					for (const included of globSync(resolve(state.root, unquote(rest))).sort()) {
						hosts.push(...(await this.#hostsIn(included, seen, state)));
					}
					break;
				case '<virtualhost':
					first = index;
					break;
				case '</virtualhost':
					if (first !== -1) hosts.push(hostAt(file, lines, first, index));
					first = -1;
					break;
			}
		}
		return hosts;
	}
}

function hostAt(file: string, lines: readonly string[], first: number, last: number): VirtualHost {
	const inside = lines.slice(first + 1, last);
	const valuesOf = (name: string): string[] =>
		inside.flatMap(line => (nameOf(line) === name ? line.trim().split(/\s+/).slice(1).map(unquote) : []));
	return {
		file,
		lines,
		first,
		last,
		addresses: (lines[first] ?? '').replace(/[<>]/g, '').trim().split(/\s+/).slice(1),
		// A port may stand behind a name.
		names: [...valuesOf('servername'), ...valuesOf('serveralias')].map(name =>
			name.replace(/^[a-z]+:\/\//i, '').replace(/:\d+$/, ''),
		),
		isSecure: valuesOf('sslengine').some(value => value.toLowerCase() === 'on'),
	};
}

function change(
	hosts: readonly VirtualHost[],
	editsFor: (host: VirtualHost) => readonly LineEdit[],
): FileChanges {
	return new Map(
		editsByFile(hosts, editsFor).flatMap(({file, part: {lines}, edits}) => {
			if (edits.length === 0) return [];
			const changed = [...lines];
			for (const {at, remove: count, lines: added} of [...edits].sort((a, b) => a.at - b.at).reverse()) {
				changed.splice(at, count, ...added);
			}
			return [[file, changed.join('\n')] as const];
		}),
	);
}

/** The lines of a directive, by number. */
function find({lines, first, last}: VirtualHost, name: string): number[] {
	return lines.flatMap((line, index) =>
		index > first && index < last && nameOf(line) === name.toLowerCase() ? [index] : [],
	);
}

function set(host: VirtualHost, name: string, value: string): LineEdit[] {
	const [there] = find(host, name);
	if (there === undefined) return [insert(host, `${name} ${quote(value)}`)];
	const line = host.lines[there] ?? '';
	if (unquote(line.trim().slice(name.length).trim()) === value) return [];
	const indentation = /^\s*/.exec(line)?.[0] ?? '';
	return [{at: there, remove: 1, lines: [`${indentation}${name} ${quote(value)}`]}];
}

function remove(host: VirtualHost, name: string): LineEdit[] {
	return find(host, name).map(at => ({at, remove: 1, lines: []}));
}

/** At the end of the virtual host. */
function insert({lines, first, last}: VirtualHost, directive: string): LineEdit {
	const indentation = /^\s*/.exec(lines[first + 1] ?? '')?.[0] || '\t';
	return {at: last, remove: 0, lines: [`${indentation}${directive}`]};
}

function nameOf(line: string): string {
	return /^\s*(\w+)/.exec(line)?.[1]?.toLowerCase() ?? '';
}

function unquote(text: string): string {
	return /^(["'])(.*)\1$/.exec(text)?.[2] ?? text;
}

function quote(value: string, always = false): string {
	return always || /[\s"'\\]/.test(value) ? `"${value.replace(/["\\]/g, '\\$&')}"` : value;
}
