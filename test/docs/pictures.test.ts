/** Holds the pictures that are drawn from data against the data, and the data against the code. */
import {describe, expect, test} from 'vitest';
import {layers} from '../../scripts/check-imports.ts';
import {wants} from '../../scripts/pictures/choices.ts';
import {labelOf} from '../../scripts/pictures/layers.ts';
import {pictures} from '../../scripts/pictures/write.ts';
import {read} from './markdown.ts';

test.each(Object.entries(pictures))(
	'%s is as its data say (node scripts/pictures/write.ts)',
	(file, draw) => {
		expect(read(file)).toBe(draw());
	},
);

describe('which strategy', () => {
	interface Condition {
		readonly if: {readonly properties: {readonly strategy: {readonly const: string}}};
		readonly then: {readonly properties?: {readonly options?: {readonly properties?: object}}};
	}
	const conditions: readonly Condition[] = JSON.parse(read('schema.json')).definitions.optionsByStrategy
		.allOf;
	const optionsOf = new Map(
		conditions.map(({if: {properties}, then}) => [
			properties.strategy.const,
			Object.keys(then.properties?.options?.properties ?? {}),
		]),
	);
	const choices = wants.flatMap(want => want.choices);

	test('leads to every strategy, and to no other', () => {
		const chosen = new Set(choices.map(({strategy}) => strategy));
		expect([...chosen].sort()).toEqual([...optionsOf.keys()].sort());
	});

	test('names only options that the strategy has', () => {
		const named = choices.flatMap(({strategy, option = ''}) =>
			option
				.replace(/:.*/, '')
				.split(', ')
				.filter(name => name !== '')
				.map(name => ({strategy, name})),
		);
		expect(named.filter(({strategy, name}) => !optionsOf.get(strategy)?.includes(name))).toEqual([]);
	});

	test.each(choices.map(choice => [choice.have, choice.strategy]))('shows %s: %s', (have, strategy) => {
		const shown = read('docs/images/which-strategy.svg').replace(/<desc[\s\S]*<\/desc>/, '');
		expect(shown).toContain(`>${have}</text>`);
		expect(shown).toContain(`>${strategy}<`);
	});
});

test('the layers are all in their picture', () => {
	const shown = read('docs/images/layers.svg').replace(/<desc[\s\S]*<\/desc>/, '');
	expect(layers.map(labelOf).filter(name => !shown.includes(`>${name}</text>`))).toEqual([]);
});

test.each(Object.keys(pictures))(
	'the words of %s fit, and can be read as wide as the site shows it',
	file => {
		const svg = read(file);
		const width = Number(/viewBox="0 0 (\d+)/.exec(svg)?.[1]);
		const [, shown] =
			/\.svg"\][^{]*\{\s*min-width: (\d+)px/.exec(read('site/.vitepress/theme/style.css')) ?? [];
		const texts = [...svg.matchAll(/<text x="([\d.]+)"[^>]*?(text-anchor="end")?[^>]*>(.*?)<\/text>/g)];
		expect(texts.length).toBeGreaterThan(20);
		const boxes = [...svg.matchAll(/<rect x="(\d+)" y="([\d.]+)" width="(\d+)" height="(\d+)" rx="6"/g)].map(
			([, ...numbers]) => numbers.map(Number) as [number, number, number, number],
		);
		for (const [whole, x, , words = ''] of texts) {
			const size = Number(/font-size="(\d+)"/.exec(whole)?.[1] ?? 14);
			expect((size * Number(shown)) / width, words).toBeGreaterThanOrEqual(8);
			// A letter of these fonts is about half as wide as it is high, a bold one more.
			const long = words.replaceAll(/<[^>]*>/g, '').length * size * (whole.includes('"600"') ? 0.62 : 0.53);
			const y = Number(/ y="([\d.]+)"/.exec(whole)?.[1]);
			const around = boxes.find(
				([left, top, wide, high]) => Number(x) > left && Number(x) < left + wide && y > top && y < top + high,
			);
			// Options, behind the name of a strategy, are in a smaller type.
			if (around !== undefined && !words.includes('<')) {
				expect(Number(x) + long, words).toBeLessThan(around[0] + around[2]);
			}
			if (whole.includes('text-anchor="end"')) expect(Number(x) - long, words).toBeGreaterThan(0);
			else if (!whole.includes('text-anchor') && !words.includes('<'))
				expect(Number(x) + long, words).toBeLessThan(width);
		}
	},
);
