/** What a process holds on to that uses many different tokens, each for a second. */
import {execFile} from 'node:child_process';
import {mkdtemp, rm, stat} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {expect, onTestFinished, test} from 'vitest';

const source = (name: string): string => JSON.stringify(new URL(`../../src/${name}`, import.meta.url).href);

const tokens = 200_000;

/** Megabytes of heap after the tokens have expired, beside those before the first. */
async function grownBy(storeUrl: string, count: number): Promise<number> {
	const program = `
		const {PersistentTokenCache} = await import(${source('tokens/token-cache.ts')});
		const {openStorage} = await import(${source('tokens/open-storage.ts')});
		const {setTimeout: delay} = await import('node:timers/promises');
		const cache = new PersistentTokenCache(openStorage(process.argv[1]));
		const value = number => Buffer.alloc(1500, 'token ' + number + ' ').toString('latin1');
		const issue = number => async () => {
			const now = Date.now();
			return {value: value(number), type: 'Bearer', issuedAt: now, expiresAt: now + 1000};
		};
		const heap = () => { gc(); gc(); return process.memoryUsage().heapUsed / 1e6; };
		const use = (from, to) => Promise.all(Array.from({length: to - from}, async (_, index) => {
			const key = JSON.stringify(['a key of some length', 'x'.repeat(300), from + index]);
			const token = await cache.get(key, issue(from + index));
			// Every other one is refused, and an issuer asks to be left alone.
			if (index % 2 === 0) await cache.invalidate(key, token);
		}));
		await use(0, 50);
		await delay(1100);
		const before = heap();
		for (let from = 50; from < ${count}; from += 50) await use(from, from + 50);
		// Until the last of them has expired, and was swept away.
		await delay(2500);
		console.log(heap() - before);
		await cache.close();`;
	const {stdout} = await promisify(execFile)(process.execPath, [
		'--expose-gc',
		'--input-type=module',
		'--eval',
		program,
		storeUrl,
	]);
	return Number(stdout);
}

test('200,000 tokens of a second each leave less than 30 MB', async () => {
	expect(await grownBy('memory:', tokens)).toBeLessThan(30);
});

test('a sqlite file does not grow with what has expired', async () => {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-memory-'));
	onTestFinished(() => rm(folder, {recursive: true, force: true}));
	const file = join(folder, 'tokens.sqlite');
	expect(await grownBy(`sqlite:${file}`, 20_000)).toBeLessThan(30);
	// All of them would take more than that.
	const {size} = await stat(file);
	expect(size).toBeLessThan(20_000 * 1500 * 0.75);
});
