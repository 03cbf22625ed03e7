/** A hook that failed says how, in words: not by what Node calls it. */
import {expect, test} from 'vitest';
import {runHook} from '../../src/installers/hooks.ts';

test.each([
	['exit 3', "the hook 'exit 3' ended with 3"],
	["echo 'no such server' >&2; exit 1", /ended with 1: no such server$/],
	['kill -TERM $$', "the hook 'kill -TERM $$' was ended by SIGTERM"],
	["head -c 2000000 /dev/zero | tr '\\0' x", /printed more than 1048576 bytes$/],
	['a-program-that-is-not-there', /ended with 127: .*not found$/],
])('%s', async (command, told) => {
	expect(await runHook(command, {})).toEqual(typeof told === 'string' ? told : expect.stringMatching(told));
});

test('one that succeeds says nothing, and gets its variables', async () => {
	expect(await runHook('test "$RENEWED_DOMAINS" = a.example.test', {RENEWED_DOMAINS: 'a.example.test'})).toBe(
		undefined,
	);
});

test('one that is interrupted says so', async () => {
	expect(await runHook('sleep 60', {}, AbortSignal.abort())).toBe("the hook 'sleep 60' was interrupted");
});
