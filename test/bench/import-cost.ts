/** What `import 'gatepass'` costs beside `import 'got'`: time, memory, and what it loads. */
import {startChild} from './child.ts';
import type {ImportCost, Imported, ImportQuestion} from './import-probe.ts';
import {type Row, verdictOf} from './report.ts';
import {medianOf, summarise} from './statistics.ts';

const runs = 11;

/** Six tenths of what it was when that was asked for: 2.2 times `import 'got'`, and 340 modules. */
const mostTime = 0.6 * 2.2;
const mostModules = 204;

/** Loaded only when a rule needs them: optional peers, ACME and X.509 code (see "Packaging" in the contract). */
const notWanted =
	/\/(?:koffi|@keyv\/\w+|@opentelemetry\/api|@peculiar\/x509|node-forge|asn1js|pkijs)$|^acme$/;

export async function measureImports(): Promise<Row[]> {
	const subjects: readonly Imported[] = ['got', 'gatepass', 'gatepass and createGatepass()'];
	const costs = new Map<Imported, ImportCost[]>(subjects.map(subject => [subject, []]));
	// The first run of each brings the files into the system's memory.
	for (let run = -1; run < runs; run++) {
		for (const imported of subjects) {
			const cost = await probe({imported, modules: false});
			if (run >= 0) costs.get(imported)?.push(cost);
		}
	}
	const rows: Row[] = [];
	const got = costs.get('got') ?? [];
	rows.push(compare('gatepass', costs.get('gatepass') ?? [], got));
	rows.push(
		compare('gatepass and createGatepass()', costs.get('gatepass and createGatepass()') ?? [], got, mostTime),
	);
	return [...rows, ...(await describeLoaded())];
}

async function probe(question: ImportQuestion): Promise<ImportCost> {
	const {child, greeting} = await startChild<ImportCost>('import-probe.ts', question, ['--expose-gc']);
	await child.close();
	return greeting;
}

function compare(
	imported: Imported,
	ours: readonly ImportCost[],
	got: readonly ImportCost[],
	most?: number,
): Row {
	const ratio = summarise(
		ours.map(({milliseconds}, index) => milliseconds / (got[index]?.milliseconds ?? 0)),
	);
	return {
		group: 'import',
		name: imported === 'gatepass' ? "import 'gatepass'" : "import 'gatepass', createGatepass()",
		target: most === undefined ? '' : `at most ${most.toFixed(2)} x`,
		measured: `${ratio.median.toFixed(2)} x (${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)})`,
		ours: describe(ours),
		theirs: `${describe(got)} for import 'got'`,
		verdict: most === undefined ? 'no target' : verdictOf(ratio.median <= most),
		figures: {ratio, ours: mediansOf(ours), got: mediansOf(got)},
	};
}

function mediansOf(costs: readonly ImportCost[]): Omit<ImportCost, 'modules'> {
	return {
		milliseconds: medianOf(costs.map(({milliseconds}) => milliseconds)),
		resident: medianOf(costs.map(({resident}) => resident)),
		heap: medianOf(costs.map(({heap}) => heap)),
	};
}

function describe(costs: readonly ImportCost[]): string {
	const {milliseconds, resident, heap} = mediansOf(costs);
	return `${milliseconds.toFixed(0)} ms, ${(resident / 1e6).toFixed(1)} MB resident, ${(heap / 1e6).toFixed(1)} MB heap`;
}

async function describeLoaded(): Promise<Row[]> {
	const {modules} = await probe({imported: 'gatepass', modules: true});
	const {modules: created} = await probe({imported: 'gatepass and createGatepass()', modules: true});
	const {modules: ofGot} = await probe({imported: 'got', modules: true});
	const packages = packagesOf(modules);
	const unwanted = [...packages.keys()].filter(name => notWanted.test(`/${name}`));
	const own = modules.filter(
		url => /\/dist\/(?:src|strategies)\//.test(url) && !url.includes('/node_modules/'),
	);
	const acme = own.filter(url => /\/(?:acme|x509)\//.test(url));
	const list = [...packages].map(([name, files]) => `${name} (${files})`).join(', ');
	return [
		{
			group: 'import',
			name: "modules that import 'gatepass' loads",
			target: '',
			measured: `${own.length} of its own, ${modules.length - own.length} of others`,
			ours: list === '' ? 'no package' : list,
			theirs: `${ofGot.length} in ${packagesOf(ofGot).size} packages for import 'got'`,
			verdict: 'no target',
			figures: {
				own: own.length,
				packages: Object.fromEntries(packages),
				got: Object.fromEntries(packagesOf(ofGot)),
			},
		},
		{
			group: 'import',
			name: "modules that import 'gatepass' and createGatepass() load",
			target: `at most ${mostModules}`,
			measured: String(created.length),
			ours: [...packagesOf(created)].map(([name, files]) => `${name} (${files})`).join(', '),
			theirs: `${ofGot.length} for import 'got'`,
			verdict: verdictOf(created.length <= mostModules),
			figures: {modules: created.length},
		},
		{
			group: 'import',
			name: 'optional peers, ACME or X.509 among them',
			target: 'none',
			measured: [...unwanted, ...acme].join(', ') || 'none',
			ours: '',
			theirs: '',
			verdict: verdictOf(unwanted.length + acme.length === 0),
			figures: {unwanted, acme},
		},
	];
}

/** The packages among the files, with the number of files of each. */
function packagesOf(modules: readonly string[]): Map<string, number> {
	const packages = new Map<string, number>();
	for (const url of modules) {
		const name = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
		if (name !== undefined) packages.set(name, (packages.get(name) ?? 0) + 1);
	}
	return packages;
}
