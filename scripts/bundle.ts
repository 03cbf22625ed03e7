/**
 * Makes the JavaScript of `dist` from the source: a file for each entry of the package, and chunks of what several need
 * or what is loaded later. docs/decisions/0019-built-by-a-bundler.md says why.
 */
import {globSync, readFileSync, writeFileSync} from 'node:fs';
import {rolldown} from 'rolldown';

/** The entries of package.json, and two files that are found by their place: a thread, and who starts it. */
const entries = [
	'src/index.ts',
	'src/cli/main.ts',
	'src/cern/index.ts',
	'src/integrations/fastify.ts',
	'src/integrations/nestjs.ts',
	'src/testing/index.ts',
	...globSync('strategies/*/index.ts'),
	'strategies/kerberos/worker-thread.ts',
	'strategies/kerberos/gss-worker.ts',
];

/** What becomes a part of our code: of zod a third is needed, and in one file instead of a hundred. */
const included = /^(?:zod$|\.|\/|\0|@oxc-project\/runtime\/)/;

const bundle = await rolldown({
	input: Object.fromEntries(entries.map(file => [file.replace(/\.ts$/, ''), file])),
	platform: 'node',
	tsconfig: 'tsconfig.json',
	external: id => !included.test(id),
});
await bundle.write({
	dir: 'dist',
	format: 'esm',
	// Declarations have the descriptions.
	comments: {jsdoc: false},
	entryFileNames: '[name].js',
	chunkFileNames: 'chunks/[name]-[hash].js',
});

// Its licence wants to be where its code is.
writeFileSync('dist/zod-LICENSE', readFileSync('node_modules/zod/LICENSE'));
