/** Writes the pictures of the documentation that are drawn from data. The tests compare. */
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {layerPicture} from './layers.ts';
import {whichStrategy} from './which-strategy.ts';

/** By the file of the project. */
export const pictures: Readonly<Record<string, () => string>> = {
	'docs/images/which-strategy.svg': whichStrategy,
	'docs/images/layers.svg': layerPicture,
};

if (import.meta.main) {
	for (const [file, draw] of Object.entries(pictures))
		writeFileSync(join(import.meta.dirname, '../..', file), draw());
}
