/** The preset of a bundle: which servers it is for, endpoints, default options by strategy. Written by hand. */
import {existsSync} from 'node:fs';
import {z} from 'zod';
import {GatepassError} from '../errors.ts';
import {readBoundedSync} from '../files/bounded-read.ts';
import {valueOfYaml, type YamlMistake} from '../files/yaml-text.ts';
import {PatternError, parsePattern} from '../host-rules/pattern.ts';
import type {Bundle} from './bundle.ts';

/** It is written by hand. */
const largestFile = 1024 * 1024;

const defaultsSchema = z.strictObject({
	/** Taken for what a rule does not name. */
	options: z.record(z.string(), z.unknown()),
	/** A rule that names one of these gets no defaults: they would contradict it. */
	unless: z.array(z.string()).default([]),
});

const pattern = z.string().transform((text, context) => {
	try {
		return parsePattern(text);
	} catch (error) {
		if (!(error instanceof PatternError)) throw error;
		context.addIssue({code: 'custom', message: error.message});
		return z.NEVER;
	}
});

const presetSchema = z.strictObject({
	/** One sentence for a person. */
	description: z.string().optional(),
	/** The patterns of the servers that its certificates are for. */
	servers: z.array(pattern).default([]),
	/** Addresses worth knowing, by name. */
	endpoints: z.record(z.string(), z.string()).default({}),
	/** Default options, by strategy. */
	strategies: z.record(z.string(), defaultsSchema).default({}),
});

/** What `preset.yaml` says. */
export type Preset = z.output<typeof presetSchema>;

/**
 * Read the preset of a bundle; one without the file brings only certificates.
 *
 * @throws {GatepassError} where it is wrong.
 */
export function readPreset({presetFile}: Bundle): Preset {
	if (!existsSync(presetFile)) return presetSchema.parse({});
	const text = readBoundedSync(presetFile, largestFile).bytes.toString('utf8');
	const value = valueOfYaml(text, mistake => refusalOf(mistake, presetFile));
	const parsed = presetSchema.safeParse(value ?? {});
	if (parsed.success) return parsed.data;
	const [issue] = parsed.error.issues;
	const path = issue?.path.join('.') || 'its top';
	throw new GatepassError(
		{
			code: 'bundle-damaged',
			what: `${presetFile} is no preset of a bundle: ${issue?.message} (at ${path})`,
			hint: `Put it right there; its settings are ${Object.keys(presetSchema.shape).join(', ')}`,
		},
		{cause: parsed.error},
	);
}

function refusalOf(mistake: YamlMistake, file: string): GatepassError {
	const {cause} = mistake;
	if (mistake.about === 'aliases') {
		const what = `The aliases of ${file} lead nowhere, or have no end`;
		return new GatepassError({code: 'bundle-damaged', what, hint: 'Write the values out there'}, {cause});
	}
	const what =
		mistake.cause.code === 'TAG_RESOLVE_FAILED'
			? "has a tag ('!') that has no meaning in a preset"
			: 'is no YAML';
	return new GatepassError(
		{code: 'bundle-damaged', what: `${file}:${mistake.line} ${what}`, hint: 'Put it right there'},
		{cause},
	);
}
