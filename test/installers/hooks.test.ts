/** Commands around a renewal: what is said of one that fails, and how. */
import {expect, test} from 'vitest';
import {runHook} from '../../src/installers/hooks.ts';

test('one that succeeds is not told of, and has its variables', async () => {
	expect(await runHook('test "$NAME" = value', {NAME: 'value'})).toBeUndefined();
});

test('one that fails is told with its code and its last words, in one line', async () => {
	expect(await runHook('echo one >&2; printf "two\\tthree\\033[0m" >&2; exit 7', {})).toMatch(
		/^the hook 'echo one .*' ended with 7: one two three \[0m$/,
	);
});

test('one that was interrupted is told so', async () => {
	const controller = new AbortController();
	const running = runHook('exec sleep 600', {}, controller.signal);
	controller.abort();
	expect(await running).toBe("the hook 'exec sleep 600' was interrupted");
});
