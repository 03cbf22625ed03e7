/**
 * The layers of the source and what each imports, read from the source itself: a row and a column for each layer of
 * scripts/check-imports.ts. Imports point downwards, so one side of the diagonal is empty.
 */
import {globSync, readFileSync} from 'node:fs';
import {join, posix} from 'node:path';
import {importsIn, layerOf, layers} from '../check-imports.ts';
import {colours, picture, text} from './svg.ts';

const cell = 20;
const left = 256;
/** Of the files of one layer, so many are named; the description names them all. */
const mostNames = 2;
const top = 54;

const root = join(import.meta.dirname, '../..');

/** The picture as SVG. */
export function layerPicture(): string {
	const imports = importsByLayer();
	const side = layers.length * cell;
	const shapes = [
		text(20, 22, 'A dot: the layer of the row imports from the one of the column', {
			fill: colours.quiet,
			'font-size': '13',
		}),
	];
	for (const [index, parts] of layers.entries()) {
		const y = top + index * cell;
		const number = String(index + 1);
		if (index % 2 === 0)
			shapes.push(`<rect x="8" y="${y}" width="${left + side}" height="${cell}" fill="${colours.panel}"/>`);
		shapes.push(text(left - 30, y + cell / 2, labelOf(parts), {'text-anchor': 'end', 'font-size': '13'}));
		shapes.push(text(left - 6, y + cell / 2, number, numbering));
		shapes.push(
			text(left + index * cell + cell / 2, top - 10, number, {...numbering, 'text-anchor': 'middle'}),
		);
		const own = left + index * cell;
		shapes.push(
			`<rect x="${own + 2}" y="${y + 2}" width="${cell - 4}" height="${cell - 4}" rx="3" fill="${colours.line}"/>`,
		);
		for (const target of [...(imports.get(index) ?? [])].sort((a, b) => a - b)) {
			const x = left + target * cell + cell / 2;
			shapes.push(`<circle cx="${x}" cy="${y + cell / 2}" r="5" fill="${colours.accent}"/>`);
		}
	}
	const size = {width: left + side + 16, height: top + side + 12};
	return picture(size, 'The layers of the source', inWords(imports), shapes);
}

const numbering = {fill: colours.quiet, 'font-size': '12', 'text-anchor': 'end'};

/** Which other layers the files of each layer import. */
function importsByLayer(): Map<number, Set<number>> {
	const imports = new Map<number, Set<number>>();
	for (const path of globSync(['src/**/*.ts', 'strategies/**/*.ts'], {cwd: root})) {
		const file = path.replaceAll('\\', '/');
		const own = layerOf(file);
		const targets = imports.get(own) ?? new Set();
		imports.set(own, targets);
		for (const {specifier} of importsIn(readFileSync(join(root, file), 'utf8'))) {
			if (!specifier.startsWith('.')) continue;
			const target = layerOf(posix.join(posix.dirname(file), specifier));
			if (target !== own) targets.add(target);
		}
	}
	return imports;
}

/** `src/hop/router.ts` and its neighbours are `hop: router, …`; a folder is its name. */
export function nameOf(parts: readonly string[]): string {
	const names = parts.map(part => part.replace(/^src\//, '').replace(/\.ts$|\/$/, ''));
	const folder = names[0]?.includes('/') ? posix.dirname(names[0]) : undefined;
	const isOneFolder = folder !== undefined && names.every(name => posix.dirname(name) === folder);
	const short = isOneFolder
		? names.map(name => posix.basename(name))
		: names.map(name => posix.basename(name));
	return isOneFolder ? `${folder}: ${short.join(', ')}` : short.join(', ');
}

/** The same, short enough for a row. */
export function labelOf(parts: readonly string[]): string {
	const shown = nameOf(parts.slice(0, mostNames));
	return parts.length > mostNames ? `${shown}, …` : shown;
}

function inWords(imports: ReadonlyMap<number, ReadonlySet<number>>): string {
	return layers
		.map((parts, index) => {
			const targets = [...(imports.get(index) ?? [])]
				.sort((a, b) => a - b)
				.map(target => nameOf(layers[target] ?? []));
			return `${nameOf(parts)} imports ${targets.length === 0 ? 'nothing' : targets.join('; ')}.`;
		})
		.join(' ');
}
