/** The pages of the diagnostics, which the package brings along: `docs/diagnostics/CODE.md`. */
import {readFileSync} from 'node:fs';
import {closest} from '../config/suggest.ts';
import {type DiagnosticCode, diagnosticTitles} from '../diagnostics/codes.ts';
import {GatepassError} from '../errors.ts';
import {ownFile} from '../own-files.ts';
import {UsageError} from './failure.ts';

export interface DiagnosticPage {
	readonly code: DiagnosticCode;
	/** What it means, in one sentence without its full stop. */
	readonly title: string;
	/** The whole page, in Markdown. */
	readonly page: string;
}

/** As many as a person looks through. */
const mostSuggestions = 4;

const alternatives = new Intl.ListFormat('en', {type: 'disjunction'});

/** The page of a code as somebody typed it. @throws {UsageError} where there is no such code. */
export function diagnosticPage(written: string): DiagnosticPage {
	if (!isCode(written)) throw new UsageError(describeUnknown(written));
	return {code: written, title: diagnosticTitles[written], page: read(written)};
}

function isCode(text: string): text is DiagnosticCode {
	return Object.hasOwn(diagnosticTitles, text);
}

function describeUnknown(written: string): string {
	const [owner, ...rest] = written.split('/');
	if (rest.length > 0) return `The code '${written}' is not gatepass's own. The package ${owner} explains it`;
	const what = `There is no diagnostic '${written}'`;
	if (/^ERR_/i.test(written)) {
		return `${what}: that is the code of a kind of error. Give one of the codes in its 'diagnostics', such as server-untrusted`;
	}
	const near = nearestCodes(written);
	if (near.length === 0) {
		return `${what}. Give a code as errors and 'gatepass doctor --json' have it, such as server-untrusted`;
	}
	return `${what}. Did you mean ${alternatives.format(near)}?`;
}

/** The codes that somebody may have meant: first the one that is misspelt, then those with most of the same words. */
export function nearestCodes(written: string): string[] {
	const codes = Object.keys(diagnosticTitles);
	const misspelt = closest(written, codes);
	const words = written
		.toLowerCase()
		.split(/[^a-z\d]+/)
		.filter(word => word.length > 2);
	const alike = codes
		.map(code => ({code, shared: words.filter(word => code.split('-').includes(word)).length}))
		.filter(({shared}) => shared > 0)
		.sort((one, other) => other.shared - one.shared || one.code.length - other.code.length)
		.map(({code}) => code);
	return [...new Set(misspelt === undefined ? alike : [misspelt, ...alike])].slice(0, mostSuggestions);
}

function read(code: DiagnosticCode): string {
	const page = ownFile(`docs/diagnostics/${code}.md`);
	try {
		if (page !== undefined) return readFileSync(page, 'utf8');
	} catch {}
	throw new GatepassError({
		code: 'failed',
		what: `The page of '${code}' (${diagnosticTitles[code]}) did not come with this installation of gatepass`,
		hint: 'Install the package again, with its folder docs',
	});
}
