/** Is this Node new enough, and free of the two known faults that mix up client certificates? */
import {diagnostic, warning} from '../diagnostics/diagnostic.ts';
import {type Finding, ok, told} from './finding.ts';

/** Node's pool has reused one client certificate's connection for another; fixed from these on, line by line. */
const cves = 'CVE-2026-56850 and CVE-2026-58040';
const fixedIn: Readonly<Record<number, string>> = {22: '22.23.2', 24: '24.18.1', 26: '26.5.1'};
/** `engines` in package.json. */
const oldest = '22.19.0';

/** Judge a version such as `24.18.1`. */
export function checkNode(version: string): Finding {
	if (isBefore(version, oldest)) {
		return told(
			'node',
			diagnostic({
				code: 'node-too-old',
				what: `Node ${version} is older than gatepass needs`,
				hint: `Install Node ${oldest} or later`,
			}),
		);
	}
	const line = Number(version.split('.')[0]);
	// A line that had ended by then got no fix.
	const fix = fixedIn[line] ?? Object.values(fixedIn).find(fixed => !isBefore(fixed, `${line}.0.0`));
	if (fix === undefined || !isBefore(version, fix))
		return ok('node', `Node ${version} has the fixes of ${cves}`);
	return told(
		'node',
		warning({
			code: 'node-mixes-identities',
			what: `Node ${version} has ${cves}: it may use one client certificate's connection for another. gatepass keeps them apart itself; other code in the same process does not`,
			hint: `Install Node ${fix} or later`,
		}),
	);
}

function isBefore(version: string, other: string): boolean {
	const [a, b] = [numbersOf(version), numbersOf(other)];
	for (const [index, number] of b.entries()) {
		const difference = (a[index] ?? 0) - number;
		if (difference !== 0) return difference < 0;
	}
	// A release candidate comes before the release.
	return version.includes('-') && !other.includes('-');
}

function numbersOf(version: string): number[] {
	return (version.split('-')[0] ?? '').split('.').map(Number);
}
