/** Asks in the terminal what `gatepass cert request` was not told. */
import process from 'node:process';
import type {Checklist} from '../issuers/robot-rules.ts';
import {ask} from './ask.ts';
import {UsageError} from './failure.ts';

/** Whether somebody is there to answer. */
export function canAsk(json: boolean | undefined): boolean {
	return json !== true && process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/** The answers to the published rules. Questions go to stderr, as all that is no result. */
export async function askChecklist(json: boolean | undefined): Promise<Checklist> {
	if (!canAsk(json)) {
		throw new UsageError(
			'Nobody is there to answer the questions about the applicant. Give the answers in a file with --checklist',
		);
	}
	const [{confirm, note, select}, {categoryHints, memberCategories, rules}] = await Promise.all([
		import('@clack/prompts'),
		import('../issuers/robot-rules.ts'),
	]);
	note(
		'A certificate authority issues robot certificates by its rules only.\nThese questions are those of the CERN Grid Certification Authority.',
		'Before you ask',
		{output: process.stderr},
	);
	const answers: Record<string, string | boolean> = {};
	for (const {key, question: message} of rules) {
		answers[key] =
			key === 'memberCategory'
				? await ask(settings =>
						select({...settings, message, options: statuses(memberCategories, categoryHints), maxItems: 8}),
					)
				: await ask(settings => confirm({...settings, message, initialValue: false}));
	}
	return answers as unknown as Checklist;
}

/** The name of the service account. */
export async function askServiceAccount(): Promise<string> {
	const [{text}, {robotName}] = await Promise.all([
		import('@clack/prompts'),
		import('../x509/certificate-request.ts'),
	]);
	return ask(settings =>
		text({
			...settings,
			message: 'The service account that the robot runs as',
			placeholder: 'cmsprod',
			validate: (value = '') => {
				try {
					robotName(value);
					return undefined;
				} catch (error) {
					return (error as Error).message;
				}
			},
		}),
	);
}

function statuses(
	categories: readonly string[],
	hints: Readonly<Record<string, string>>,
): {value: string; label: string}[] {
	return [...categories, 'none of these'].map(status => {
		const hint = hints[status];
		return {value: status, label: hint === undefined ? status : `${status} (${hint})`};
	});
}
