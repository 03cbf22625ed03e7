/** The table of the faults as a page of the documentation. */
import type {Fault} from './table.ts';

/** docs/faults.md. */
export function pageOf(faults: Readonly<Record<string, Fault>>): string {
	const all = Object.values(faults);
	const named = all.filter(one => 'code' in one).length;
	const prevented = all.filter(one => 'prevented' in one).length;
	const untested = all.length - named - prevented;
	const others = untested === 0 ? '' : `, and ${untested} are not tested, with the reason`;
	const groups = [...Map.groupBy(all, ({group}) => group)];
	return `# Faults, and what gatepass says of them

What people meet, collected from public issue trackers, and the true cause, which the symptom hides. Each row${untested === 0 ? '' : ' but the untested'} is a test in \`test/faults\`, which brings the fault about with a real server, file or clock and holds gatepass to the code: by the error of a request, or by [\`gatepass doctor URL\`](diagnose.md) where the error alone cannot know. This page is made from the same table.

Of ${all.length} faults, ${named} are named by their true cause, ${prevented} cannot happen${others}.
${groups.map(([group, ones]) => sectionOf(group, ones)).join('')}`;
}

function sectionOf(group: string, faults: readonly Fault[]): string {
	const rows = faults.map(fault => {
		const met = fault.met === undefined ? '' : ` (${fault.met})`;
		return `| ${cell(fault.symptom)} | ${cell(fault.cause)}${met} | ${cell(verdictOf(fault))} |`;
	});
	return `
## ${group}

| symptom | true cause | gatepass |
| ------- | ---------- | -------- |
${rows.join('\n')}
`;
}

function verdictOf(fault: Fault): string {
	if ('prevented' in fault) return `does not happen: ${fault.prevented}`;
	if ('untested' in fault) return `not tested: ${fault.untested}`;
	const by = fault.by === 'error' ? 'by the error' : 'by `doctor`';
	return `[\`${fault.code}\`](diagnostics/${fault.code}.md), ${by}`;
}

function cell(text: string): string {
	return text.replaceAll('|', '\\|');
}
