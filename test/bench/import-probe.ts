/**
 * In a process of its own: what an import costs, or with `modules` what it loads. Everything is loaded dynamically,
 * so that nothing but what is asked about is there before.
 */
import {registerHooks} from 'node:module';
import {performance} from 'node:perf_hooks';

/** What is imported: one of the packages, or gatepass with a small configuration put to use. */
export type Imported = 'got' | 'gatepass' | 'gatepass and createGatepass()';

export interface ImportQuestion {
	readonly imported: Imported;
	readonly modules: boolean;
}

export interface ImportCost {
	readonly milliseconds: number;
	/** Growth of the resident set and of the JavaScript heap after a collection, in bytes. */
	readonly resident: number;
	readonly heap: number;
	/** The files loaded, as URLs; only where they were asked for, since watching costs. */
	readonly modules: readonly string[];
}

const {imported, modules: watch} = JSON.parse(process.argv[2] ?? '{}') as ImportQuestion;
const modules: string[] = [];
if (watch) {
	registerHooks({
		load(url, context, nextLoad) {
			if (url.startsWith('file:')) modules.push(url);
			return nextLoad(url, context);
		},
	});
}
// Each is written out: the functions are compiled before the clock starts.
const work: Record<Imported, () => Promise<unknown>> = {
	got: () => import('got'),
	gatepass: () => import('gatepass'),
	'gatepass and createGatepass()': async () => {
		const {createGatepass} = await import('gatepass');
		return createGatepass({
			config: {
				cache: {url: 'memory:'},
				hostRules: [
					{match: 'https://status.example.org', strategy: 'none'},
					{
						match: 'https://api.example.org',
						strategy: 'sso-client-credentials',
						options: {clientId: 'a', clientSecret: 'b', tokenEndpoint: 'https://login.example.org/token'},
					},
				],
			},
		});
	},
};
const collect = (): NodeJS.MemoryUsage => {
	globalThis.gc?.();
	return process.memoryUsage();
};
const before = collect();
const start = performance.now();
const result = await work[imported]();
const milliseconds = performance.now() - start;
const after = collect();
const cost: ImportCost = {
	milliseconds,
	resident: after.rss - before.rss,
	heap: after.heapUsed - before.heapUsed,
	modules,
};
if (result !== undefined) process.send?.(cost, () => process.disconnect());
