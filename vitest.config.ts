import {defineConfig} from 'vitest/config';

export default defineConfig({
	test: {
		include: ['test/**/*.test.ts'],
		testTimeout: 30_000,
		hookTimeout: 120_000,
		// Most of the time goes into waiting for servers, so that two cores have room for two files.
		maxWorkers: 2,
		reporters: ['default', './test/reporter.ts'],
	},
});
