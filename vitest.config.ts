import {defineConfig} from 'vitest/config';

export default defineConfig({
	test: {
		include: ['test/**/*.test.ts'],
		setupFiles: ['./test/setup.ts'],
		// Bounds on a test that hangs, far above what any needs: a test waits for events, however slow the machine.
		testTimeout: 180_000,
		hookTimeout: 180_000,
		expect: {poll: {timeout: 30_000}},
		// Most of the time goes into waiting for servers, so that two cores have room for two files.
		maxWorkers: 2,
		reporters: ['default', './test/reporter.ts'],
	},
});
