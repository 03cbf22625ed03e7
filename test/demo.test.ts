/** `npm run demo`, as a newcomer meets it: everything happens as it says, on a terminal of 80 columns. */
import {execFile} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {expect, test} from 'vitest';

test('the demo keeps its promises, within 80 columns', async () => {
	const demo = fileURLToPath(new URL('../demo/demo.ts', import.meta.url));
	const {stdout} = await promisify(execFile)(process.execPath, [demo]);
	expect(stdout).toContain('✔');
	expect(stdout).not.toContain('✘');
	expect(stdout.split('\n').filter(line => [...line].length > 80)).toEqual([]);
	// Nothing is cut to make it fit.
	expect(stdout).not.toContain('…');
});
