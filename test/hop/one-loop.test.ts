/** There is one loop that sends and hands the answer to a strategy: `runHop`. Whoever sends has it do so. */
import {globSync, readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {expect, test} from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The files that hand something to a generator, which is how a conversation goes on. */
function filesThatGoOn(): string[] {
	return globSync(['src/**/*.ts', 'strategies/**/*.ts'], {cwd: root})
		.filter(file => /\bconversation\b\s*\.next\(\s*[^)\s]/.test(readFileSync(`${root}/${file}`, 'utf8')))
		.map(file => file.replaceAll('\\', '/'))
		.sort();
}

test('no other file goes on with a conversation, but for one that passes on what it was handed', () => {
	expect(filesThatGoOn()).toEqual([
		'src/hop/run.ts',
		// The user of a flow sends; what it tells is handed to `runHop`.
		'src/transports/flow.ts',
		// No loop: `yield*` for a conversation that has begun.
		'strategies/chain/resume.ts',
	]);
});

test('every file that begins one, and is no strategy, has `runHop` go on with it', () => {
	const begin = globSync('src/**/*.ts', {cwd: root}).filter(file => {
		const text = readFileSync(`${root}/${file}`, 'utf8');
		return /\bstrategy\.authenticate\(/.test(text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, ''));
	});
	expect(begin.map(file => file.replaceAll('\\', '/')).sort()).toEqual([
		'src/hop/rotating-strategy.ts',
		'src/hop/run.ts',
	]);
});
