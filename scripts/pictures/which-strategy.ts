/** The decision picture: from what a host wants, by what one has, to the strategy. */
import {type Choice, type Want, wants} from './choices.ts';
import {box, colours, curve, picture, text} from './svg.ts';

const row = 30;
const gap = 14;
const top = 56;
/** Where each column begins, and how wide its boxes are. */
const columns = {wants: [12, 206], have: [250, 328], strategy: [604, 284]} as const;
const width = 896;

/** The picture as SVG. */
export function whichStrategy(): string {
	const shapes = [
		heading('the host wants', columns.wants[0]),
		heading('you have', columns.have[0]),
		heading('strategy', columns.strategy[0]),
	];
	let y = top;
	for (const want of wants) {
		shapes.push(...branch(want, y));
		y += want.choices.length * row + gap;
	}
	return picture({width, height: y + 6}, 'Which strategy for which host', inWords(), shapes);
}

function heading(words: string, x: number): string {
	return text(x, 28, words, {fill: colours.quiet, 'font-size': '13'});
}

function branch({wants: what, choices}: Want, y: number): string[] {
	const middle = y + (choices.length * row) / 2;
	const [x, boxWidth] = columns.wants;
	const root = {x, y: middle - 15, width: boxWidth, height: 30};
	const leaves = choices.flatMap((choice, index) =>
		leaf(choice, y + index * row + row / 2, [x + boxWidth, middle]),
	);
	return [...leaves, box(root, colours.panel), text(x + 12, middle, what, {'font-weight': '600'})];
}

function leaf({have, strategy, option}: Choice, y: number, root: readonly [number, number]): string[] {
	const [haveX, haveWidth] = columns.have;
	const [x, boxWidth] = columns.strategy;
	return [
		curve(root, [haveX, y]),
		box({x: haveX, y: y - 12, width: haveWidth, height: 24}, colours.paper),
		text(haveX + 12, y, have),
		curve([haveX + haveWidth, y], [x, y]),
		box({x, y: y - 12, width: boxWidth, height: 24}, colours.accentPaper, colours.accent),
		strategyName(x + 12, y, strategy, option),
	];
}

function strategyName(x: number, y: number, strategy: string, option: string | undefined): string {
	const name = text(x, y, strategy, {fill: colours.accent, 'font-weight': '600', 'font-size': '13'});
	if (option === undefined) return name;
	const rest = `<tspan font-weight="400" font-size="12" fill="${colours.quiet}">, ${option}</tspan></text>`;
	return name.replace('</text>', rest);
}

/** For those who do not see the picture. */
function inWords(): string {
	return wants
		.map(({wants: what, choices}) => {
			const list = choices.map(
				({have, strategy, option}) => `${have}: ${[strategy, option].filter(Boolean).join(', ')}`,
			);
			return `If the host wants ${what}, and you have ${list.join('; ')}.`;
		})
		.join(' ');
}
