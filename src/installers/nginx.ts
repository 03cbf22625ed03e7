/** Puts certificates into nginx: into each `server` block that is for one of their names. */
import {globSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {dirname, resolve} from 'node:path';
import type {Checkpoints} from './checkpoints.ts';
import type {DeployedLineage, Enhancements} from './installer.ts';
import {type Directive, parseNginx} from './nginx-configuration.ts';
import {applyEdits, indentationAt, type TextEdit} from './text-edits.ts';
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

export function nginxInstaller(settings: WebServerSettings, checkpoints: Checkpoints): WebServerInstaller {
	const {configuration = '/etc/nginx/nginx.conf', port = 443} = settings;
	const quoted = `'${configuration.replaceAll("'", "'\\''")}'`;
	return new WebServerInstaller(
		new Nginx(configuration, port),
		{
			testCommand: settings.testCommand ?? `nginx -t -q -c ${quoted}`,
			reloadCommand: settings.reloadCommand ?? `nginx -s reload -c ${quoted}`,
			folder: dirname(configuration),
		},
		checkpoints,
	);
}

interface ServerBlock {
	readonly file: string;
	readonly text: string;
	readonly directives: readonly Directive[];
	/** Where its block begins, and where its end brace is. */
	readonly start: number;
	readonly end: number;
}

class Nginx implements WebServer {
	readonly name = 'nginx';
	readonly #configuration: string;
	readonly #port: number;

	constructor(configuration: string, port: number) {
		this.#configuration = configuration;
		this.#port = port;
	}

	async deploy({domains, paths}: DeployedLineage): Promise<FileChanges> {
		const blocks = await this.#blocksFor(domains);
		const secure = blocks.filter(isSecure);
		// Without one for https yet, the one for http gets it.
		return this.#change(secure.length > 0 ? secure : blocks.slice(0, 1), block => [
			...(isSecure(block) ? [] : [insert(block, `listen ${this.#port} ssl;`)]),
			...set(block, 'ssl_certificate', paths.fullchain),
			...set(block, 'ssl_certificate_key', paths.privkey),
		]);
	}

	async enhance({domains, paths}: DeployedLineage, enhancements: Enhancements): Promise<FileChanges> {
		const {redirect, stapling} = enhancements;
		const headers = headersOf(enhancements);
		return this.#change(await this.#blocksFor(domains), block => {
			if (!isSecure(block)) return redirect === true ? redirectEdits(block) : [];
			return [
				...Object.entries(headers).flatMap(([name, value]) => headerEdits(block, name, value)),
				...(stapling === true
					? [
							...set(block, 'ssl_stapling', 'on'),
							...set(block, 'ssl_stapling_verify', 'on'),
							...set(block, 'ssl_trusted_certificate', paths.chain),
						]
					: []),
				// One block for both: only what came by http is sent on.
				...(redirect === true && isPlain(block) ? conditionalRedirect(block) : []),
			];
		});
	}

	async #change(
		blocks: readonly ServerBlock[],
		editsFor: (block: ServerBlock) => readonly TextEdit[],
	): Promise<FileChanges> {
		return new Map(
			editsByFile(blocks, editsFor).flatMap(({file, part: {text}, edits}) => {
				const changed = applyEdits(text, edits);
				return changed === text ? [] : [[file, changed] as const];
			}),
		);
	}

	async #blocksFor(domains: readonly string[]): Promise<ServerBlock[]> {
		const blocks = await this.#blocksIn(this.#configuration, new Set());
		const found = blocks.filter(({directives}) =>
			directives.some(
				({name, parameters}) => name === 'server_name' && parameters.some(one => isFor(one, domains)),
			),
		);
		if (found.length === 0) throw noServerFor('nginx', this.#configuration, domains);
		return found;
	}

	/** The `server` blocks of a file and of those that it includes. */
	async #blocksIn(file: string, seen: Set<string>): Promise<ServerBlock[]> {
		if (seen.has(file)) return [];
		seen.add(file);
		const text = await readFile(file, 'utf8');
		const blocks: ServerBlock[] = [];
		const visit = async (directives: readonly Directive[]): Promise<void> => {
			for (const {name, parameters, block} of directives) {
				if (name === 'server' && block !== undefined && parameters.length === 0) {
					blocks.push({file, text, directives: block.directives, start: block.start, end: block.end});
				} else if (name === 'include') {
					for (const included of this.#included(parameters[0] ?? ''))
						blocks.push(...(await this.#blocksIn(included, seen)));
				} else if (block !== undefined) {
					await visit(block.directives);
				}
			}
		};
		await visit(parseNginx(text, file));
		return blocks;
	}

	/** nginx takes them from the folder of its main file. */
	#included(pattern: string): string[] {
		return globSync(resolve(dirname(this.#configuration), pattern)).sort();
	}
}

function isSecure({directives}: ServerBlock): boolean {
	return directives.some(({name, parameters}) => name === 'listen' && parameters.includes('ssl'));
}

function isPlain({directives}: ServerBlock): boolean {
	return directives.some(({name, parameters}) => name === 'listen' && !parameters.includes('ssl'));
}

/** Give a directive of a block a value, where it has another, or none. */
function set(block: ServerBlock, name: string, value: string): TextEdit[] {
	const there = block.directives.find(directive => directive.name === name);
	const text = `${name} ${quote(value)};`;
	if (there === undefined) return [insert(block, text)];
	return there.parameters[0] === value ? [] : [{start: there.start, end: there.end, text}];
}

function headerEdits(block: ServerBlock, name: string, value: string): TextEdit[] {
	const isThere = block.directives.some(
		directive =>
			directive.name === 'add_header' && directive.parameters[0]?.toLowerCase() === name.toLowerCase(),
	);
	return isThere ? [] : [insert(block, `add_header ${name} ${quote(value, true)} always;`)];
}

function redirectEdits(block: ServerBlock): TextEdit[] {
	const returns = block.directives.some(
		({name, parameters}) => name === 'return' && parameters.some(one => one.startsWith('https://')),
	);
	return returns ? [] : [insert(block, 'return 301 https://$host$request_uri;')];
}

function conditionalRedirect(block: ServerBlock): TextEdit[] {
	const isThere = block.directives.some(
		({name, parameters}) => name === 'if' && parameters.join(' ').includes('$scheme'),
	);
	return isThere ? [] : [insert(block, 'if ($scheme = http) { return 301 https://$host$request_uri; }')];
}

/** At the end of the block. */
function insert({text, end, directives}: ServerBlock, directive: string): TextEdit {
	const [first] = directives;
	const indentation = first === undefined ? '\t' : indentationAt(text, first.start);
	const lineStart = text.lastIndexOf('\n', end - 1) + 1;
	// The brace may stand behind something on its line.
	const ownLine = text.slice(lineStart, end).trim() === '';
	return ownLine
		? {start: lineStart, end: lineStart, text: `${indentation}${directive}\n`}
		: {start: end, end, text: ` ${directive} `};
}

function quote(value: string, always = false): string {
	return always || /[\s;{}"'\\#$]/.test(value) ? `"${value.replace(/["\\]/g, '\\$&')}"` : value;
}
