/**
 * Says why a module of the user's cannot be loaded: a strategy, or a configuration that is a program. What the module
 * itself throws is not repeated: it may hold a secret.
 */
import {fileURLToPath} from 'node:url';

/** Why, as a clause that follows the module's name, and what to do about it. */
export interface ModuleFailure {
	readonly why: string;
	readonly hint: string;
}

/** Describe what `import()` of `file` rejected with. `undefined`: the file itself does not exist. */
export function describeModuleFailure(error: unknown, file: string): ModuleFailure | undefined {
	const {code, message = '', name} = (error ?? {}) as NodeJS.ErrnoException;
	const missing = /^Cannot find (package|module) '([^']+)'/.exec(message);
	if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') {
		const [, kind, written = ''] = missing ?? [];
		const imported = written.startsWith('file:') ? fileURLToPath(written) : written;
		if (missing === null || imported === file) return undefined;
		const isPackage = kind === 'package' || !/^[./]/.test(imported);
		return {
			why: `imports '${imported}', which ${isPackage ? 'is not installed' : 'does not exist'}`,
			hint: isPackage ? `Run 'npm install ${packageOf(imported)}'` : 'Name a file that does, with its ending',
		};
	}
	const [, wanted, from] = /module '([^']+)' does not provide an export named '([^']+)'/.exec(message) ?? [];
	if (wanted !== undefined) {
		return {
			why: `imports '${from}' from '${wanted}', which has no such export`,
			hint: 'Look for its right name',
		};
	}
	if (/^(?:Cannot use import statement|Unexpected token 'export')/.test(message)) {
		return {
			why: 'is written as an ES module, and its package.json says that it is none',
			hint: `Write "type": "module" into package.json, or name the file .mjs`,
		};
	}
	if (/^(?:require|module|exports|__dirname|__filename) is not defined in ES module scope/.test(message)) {
		return {
			why: 'is written as CommonJS, and its name or package.json says that it is an ES module',
			hint: 'Use import and export, or name the file .cjs',
		};
	}
	const place = placeOf(error);
	const at = place === undefined ? '' : ` at ${place}`;
	if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') {
		return {
			why: `has TypeScript that Node does not take${at}, such as decorators, enums or parameter properties`,
			hint: 'Compile it first, or write it without',
		};
	}
	if (code === 'ERR_INVALID_TYPESCRIPT_SYNTAX' || isSyntaxError(error)) {
		return {why: `has a syntax error${at}`, hint: `Run 'node --check ${file}' to see it`};
	}
	return {
		why: `cannot be loaded: it throws ${code ?? name ?? typeof error}${at}`,
		hint: 'Import it in a script of its own to see why',
	};
}

/** Of the parser, not one that the module throws, as JSON.parse does: it comes from within Node, or with its place before it. */
function isSyntaxError(error: unknown): boolean {
	if (!(error instanceof SyntaxError)) return false;
	const [frame = ''] = /\n\s+at .*/.exec(error.stack ?? '') ?? [];
	return frame.includes('node:internal/') || /^\S.*:\d+\n/.test(error.stack ?? '');
}

/** `file:line`, of the parser or of the first frame. */
function placeOf(error: unknown): string | undefined {
	const stack = String((error as Error | undefined)?.stack ?? '');
	const [, found, line] =
		/^(\S.*?):(\d+)\n/.exec(stack) ?? /\n\s+at .*?(file:\/\/[^\s)]+?):(\d+):\d+\)?/.exec(stack) ?? [];
	if (found === undefined) return undefined;
	return `${found.startsWith('file://') ? fileURLToPath(found) : found}:${line}`;
}

/** `@scope/name/part` and `name/part` are parts of packages. */
function packageOf(specifier: string): string {
	return specifier
		.split('/')
		.slice(0, specifier.startsWith('@') ? 2 : 1)
		.join('/');
}
