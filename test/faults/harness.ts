/**
 * What the tests of the faults have in common: each brings a real server, file or clock into the state that people meet,
 * and hands back what gatepass says of it. The table says which code that has to be.
 */
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {
	type ConfigurationInput,
	createGatepass,
	type Diagnosis,
	type Diagnostic,
	type Gatepass,
	GatepassError,
	type GatepassSettings,
} from '../../src/index.ts';
import {describeWith, type RealServer} from '../servers/availability.ts';
import {type FaultName, faults} from './table.ts';

/** What a fault is brought about with; all of it ends with the test, the last first. */
export interface Stage {
	/** Have something ended after the test. */
	ended<Thing extends {close(): unknown}>(thing: Thing): Thing;
	/** A gatepass of a configuration; its tokens are kept in memory. */
	open(config: ConfigurationInput, settings?: Omit<GatepassSettings, 'config'>): Promise<Gatepass>;
	/** A folder of the test's own. */
	folder(): Promise<string>;
}

/** What gatepass says: by an error or a diagnosis. `undefined`: the fault cannot happen, which the test has shown. */
export type Told = Error | Diagnosis | readonly Diagnostic[] | undefined;

/** Brings the fault about. */
export type Bring = (stage: Stage) => Promise<Told>;

/** The test of one fault. `prepare` is called once, for servers that are started before the test. */
export function fault(
	name: FaultName,
	servers: RealServer | readonly RealServer[],
	prepare: () => Bring,
): void {
	const entry = faults[name];
	describeWith(servers, `${entry.group}: ${entry.symptom}`, () => {
		const bring = prepare();
		test('code' in entry ? `names ${entry.code}` : 'does not happen', async () => {
			const ends: (() => unknown)[] = [];
			try {
				const told = await bring(stageOf(ends));
				if ('code' in entry) expectNamed(told, entry.code);
				else expect(told).toBeUndefined();
			} finally {
				for (const end of ends.reverse()) await end();
			}
		});
	});
}

function stageOf(ends: (() => unknown)[]): Stage {
	return {
		ended(thing) {
			ends.push(() => thing.close());
			return thing;
		},
		async open(config, settings = {}) {
			const gatepass = await createGatepass({
				env: {},
				...settings,
				config: {cache: {url: 'memory:'}, ...config},
			});
			ends.push(() => gatepass.close());
			return gatepass;
		},
		async folder() {
			const folder = await mkdtemp(join(tmpdir(), 'gatepass-fault-'));
			ends.push(() => rm(folder, {recursive: true, force: true}));
			return folder;
		},
	};
}

/** The cause comes first; what it is told with says what to do. */
function expectNamed(told: Told, code: string): void {
	const diagnostics = diagnosticsIn(told);
	const first =
		diagnostics.find(({severity}) => severity === 'error') ??
		diagnostics.find(({severity}) => severity === 'warning');
	expect(first, JSON.stringify(diagnostics, null, 2)).toMatchObject({code});
	expect(`${first?.what} ${first?.hint}`.length).toBeGreaterThan(60);
}

function diagnosticsIn(told: Told): readonly Diagnostic[] {
	if (told === undefined) throw new Error('Nothing is wrong');
	if (told instanceof GatepassError) return told.diagnostics;
	// A client's own error may have them, too.
	if (told instanceof Error && !('diagnostics' in told)) throw told;
	if (told instanceof Error) return told.diagnostics as readonly Diagnostic[];
	return 'stages' in told ? told.diagnostics : told;
}

/** What a promise rejects with. */
export async function errorOf(promise: PromiseLike<unknown>): Promise<Error> {
	const outcome = await Promise.resolve(promise).then(
		() => undefined,
		(error: Error) => error,
	);
	if (outcome === undefined) throw new Error('It did not fail');
	return outcome;
}

/** Got's own settings for one try. */
export const once = {retry: {limit: 0}} as const;
