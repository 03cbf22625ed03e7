/** Makes the options of a rule once more, from what the files of its secrets hold by now. */
import type {RotatingOptions} from '../host-rules/host-rule.ts';
import type {ValidationContext} from './context.ts';
import {interpolate, largestSecretFile, type SecretFile, secretIn} from './interpolate.ts';
import {Problems} from './problems.ts';
import {hostRuleSchema} from './schema.ts';
import {validateRule} from './validate-rule.ts';

/** `undefined` where the options of the rule have no secret from a file. */
export function rotatingOptions(
	index: number,
	secretFiles: readonly SecretFile[],
	context: ValidationContext,
): RotatingOptions | undefined {
	const files = secretFiles.filter(
		({path: [section, place, part]}) => section === 'hostRules' && place === index && part === 'options',
	);
	if (files.length === 0) return undefined;
	return {files, largest: largestSecretFile, parse: secretIn, remake: () => remake(index, context)};
}

/** Mistakes are told by nobody here: the options that are in use stay. */
async function remake(index: number, context: ValidationContext): Promise<unknown> {
	const {source, folder, environment} = context;
	const problems = new Problems({...source, problems: []});
	const written = (source.value as {hostRules: readonly unknown[]}).hostRules[index];
	const {value} = interpolate(written, {environment, folder, problems});
	const parsed = hostRuleSchema.safeParse(value);
	if (!parsed.success) return undefined;
	const {options} = await validateRule(parsed.data, index, {...context, problems});
	return problems.areNone ? options : undefined;
}
