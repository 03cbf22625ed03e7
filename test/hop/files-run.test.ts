/** How much code one request runs: whoever wants to follow it has to open so many files, and no more. */
import {execFile} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {expect, test} from 'vitest';

test('a warm request runs code in ten files at most, one with a refused token in eighteen', async () => {
	const child = fileURLToPath(new URL('files-run-child.ts', import.meta.url));
	const {stdout} = await promisify(execFile)(process.execPath, [child]);
	const {warm, refused} = JSON.parse(stdout) as Record<string, string[]>;
	expect(warm).toContain('src/hop/run.ts');
	expect(warm?.length, warm?.join(' ')).toBeLessThanOrEqual(10);
	expect(refused?.length, refused?.join(' ')).toBeLessThanOrEqual(18);
});
