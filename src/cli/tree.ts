/** A tree for a terminal: branches by lines, each text broken into the width that is left beside them. */
import process from 'node:process';
import {wrap} from './wrap.ts';

export interface Branch {
	/** The lines of its own. */
	readonly lines: readonly string[];
	readonly branches?: readonly Branch[];
}

/** Lines without a root: that stands above, as the caller likes. */
export function renderTree(branches: readonly Branch[], stream = process.stdout): string {
	return linesOf(branches, '', stream).join('\n');
}

function linesOf(branches: readonly Branch[], guide: string, stream: NodeJS.WriteStream): string[] {
	return branches.flatMap(({lines, branches: below = []}, index) => {
		const isLast = index === branches.length - 1;
		const trunk = `${guide}${isLast ? '   ' : '│  '}`;
		const limb = below.length === 0 ? trunk : `${trunk}│  `;
		const own = lines.flatMap((text, line) => {
			const before = line === 0 ? `${guide}${isLast ? '└─ ' : '├─ '}` : limb;
			const blanks = /^ */.exec(text)?.[0] ?? '';
			const [first = '', ...others] = wrap(text.slice(blanks.length), before + blanks, stream).split('\n');
			return [first, ...others.map(other => limb + blanks + other.trimStart())];
		});
		return [...own, ...linesOf(below, trunk, stream)];
	});
}
