/** SECURITY.md says only what tests show: each promise has its tests, and they are there. */
import {expect, test} from 'vitest';
import {read} from './markdown.ts';
import {promises} from './promises.ts';

/** The sentences of the section, without its marks. */
const sentences = (/## What it guarantees\n([\s\S]*?)\nEach has tests/.exec(read('SECURITY.md'))?.[1] ?? '')
	.split('\n')
	.flatMap(line => {
		const [, text] = /^\d+\. (.*)$/.exec(line) ?? [];
		return text === undefined ? [] : text.replaceAll('**', '').split(/(?<=\.) (?=[A-Z`[])/);
	});

test('each promise has its tests, and each of the list is a promise', () => {
	expect(sentences.length).toBeGreaterThan(40);
	const starts = Object.keys(promises);
	const named = sentences.map(sentence => starts.filter(start => sentence.startsWith(start)));
	expect(sentences.filter((_, index) => named[index]?.length !== 1)).toEqual([]);
	expect(starts.filter(start => !named.flat().includes(start))).toEqual([]);
});

test.each(
	Object.entries(promises).flatMap(([start, tests]) =>
		tests === 'none' ? [] : tests.map(one => [start, ...one]),
	),
)('%s: %s', (_start, file = '', ...titles) => {
	const text = read(`test/${file}`);
	for (const title of titles) expect(text).toContain(title);
});
