/**
 * What a run says last: which suites were skipped for want of a server, why, and what would bring it; then, alone on a
 * line, the count of tests.
 */
import type {Reporter, SerializedError, TestModule, TestSuite} from 'vitest/node';
import type {} from './servers/availability.ts';

export default class ClosingReporter implements Reporter {
	onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
		const lines = [...describeSkipped(modules), countTests(modules, unhandledErrors.length)];
		process.stdout.write(`${lines.join('\n')}\n`);
	}
}

function describeSkipped(modules: readonly TestModule[]): string[] {
	const suites = modules.flatMap(module => [...module.children.allSuites()]);
	const skipped = suites.flatMap(suite => {
		const {unavailable} = suite.meta();
		// A suite within another has its meta data too; the outermost one speaks for all.
		const isWithin = suite.parent.meta().unavailable !== undefined;
		return unavailable === undefined || isWithin ? [] : [{place: placeOf(suite), ...unavailable}];
	});
	if (skipped.length === 0) return [];
	return [
		'Skipped for want of a server:',
		...skipped.flatMap(({place, server, reason, install}) => [
			`  ${place}`,
			`    ${server}: ${reason}. To bring it, as root: ${install}`,
		]),
		'',
	];
}

function placeOf({module, fullName}: TestSuite): string {
	return `${module.relativeModuleId} > ${fullName}`;
}

/** A suite that could not run has no failed test, yet it failed; so did a run with an error outside of all tests. */
function countTests(modules: readonly TestModule[], unhandledErrors: number): string {
	let [passed, failed, skipped] = [0, unhandledErrors, 0];
	for (const module of modules) {
		for (const test of module.children.allTests()) {
			const {state} = test.result();
			if (state === 'passed') passed++;
			else if (state === 'skipped') skipped++;
			else failed++;
		}
		for (const suite of [module, ...module.children.allSuites()]) {
			if (suite.errors().length > 0) failed++;
		}
	}
	return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
