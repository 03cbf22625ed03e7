/** Reads the answers of an applicant from a YAML or JSON file. */
import {closest} from '../config/suggest.ts';
import {GatepassError} from '../errors.ts';
import {valueOfYaml, type YamlMistake} from '../files/yaml-text.ts';
import {readBounded} from '../x509/files.ts';
import {type Checklist, rules} from './robot-rules.ts';

const keys = rules.map(({key}) => key as string);

/** @throws {GatepassError} with every mistake in the file, by its line. */
export async function readChecklist(file: string): Promise<Checklist> {
	const value = valueOfYaml(await readText(file), mistake => refusalOf(mistake, file));
	if (typeof value !== 'object' || value === null || Array.isArray(value)) {
		throw new GatepassError({
			code: 'checklist-unusable',
			what: `${file} holds no answers`,
			hint: `Give it the keys ${keys.join(', ')}`,
		});
	}
	const answers = value as Readonly<Record<string, unknown>>;
	const mistakes = [
		...Object.keys(answers)
			.filter(key => !keys.includes(key))
			.map(key => `the key '${key}' is not known. ${suggestion(key)}`),
		...keys.flatMap(key => mistakeIn(key, answers[key]) ?? []),
	];
	if (mistakes.length > 0) {
		throw new GatepassError({
			code: 'checklist-unusable',
			what: `${file} does not answer all questions:\n${mistakes.map(one => `  ${one}`).join('\n')}`,
			hint: '',
		});
	}
	return answers as unknown as Checklist;
}

function refusalOf(mistake: YamlMistake, file: string): GatepassError {
	const hint = "Write one answer a line, such as 'forwardsMail: true'";
	if (mistake.about === 'aliases') {
		const what = `The aliases of ${file} lead nowhere, or have no end`;
		return new GatepassError({code: 'checklist-unusable', what, hint}, {cause: mistake.cause});
	}
	const what = `${file}:${mistake.line}: this is neither YAML nor JSON: ${mistake.cause.message}`;
	return new GatepassError({code: 'checklist-unusable', what, hint});
}

async function readText(file: string): Promise<string> {
	try {
		return (await readBounded(file)).toString('utf8');
	} catch (error) {
		throw new GatepassError(
			{
				code: 'checklist-unusable',
				what: `The checklist ${file} cannot be read`,
				hint: `Name a YAML or JSON file with the keys ${keys.join(', ')}`,
			},
			{cause: error},
		);
	}
}

function mistakeIn(key: string, answer: unknown): string | undefined {
	if (answer === undefined || answer === null) return `'${key}' is missing. ${expected(key)}`;
	if (typeof answer === 'boolean') return undefined;
	if (key === 'memberCategory' && typeof answer === 'string') return undefined;
	return `'${key}' is no answer. ${expected(key)}`;
}

function expected(key: string): string {
	return key === 'memberCategory' ? "Write a status such as 'STAFF'" : 'Write true or false';
}

function suggestion(key: string): string {
	const meant = closest(key, keys);
	return meant === undefined ? `Known are ${keys.join(', ')}` : `Did you mean ${meant}?`;
}
