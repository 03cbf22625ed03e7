/** What a schema says about the parts of a value: one of gatepass's own, or zod's. Other libraries say nothing of the kind. */
import * as z from '../schema/index.ts';
import type {Path} from './source.ts';

/** The names of the settings that the object at `path` may have; none where the schema does not tell. */
export function settingsAt(schema: unknown, path: Path): readonly string[] {
	const [part, ...rest] = path;
	const {shape, element, options} = partsOf(schema);
	if (options !== undefined) return options.flatMap(option => [...settingsAt(option, path)]);
	if (part === undefined) return Object.keys(shape ?? {});
	if (shape !== undefined) return settingsAt(shape[part], rest);
	return element === undefined ? [] : settingsAt(element, rest);
}

/** What both kinds of schema call the same. */
interface Parts {
	readonly shape?: Readonly<Record<string, unknown>>;
	readonly element?: unknown;
	readonly options?: readonly unknown[];
}

/** zod keeps under `_zod.def` what a schema of gatepass has itself (https://zod.dev/packages/core). */
interface Definition extends Parts {
	readonly innerType?: unknown;
	readonly inner?: unknown;
}

function partsOf(schema: unknown): Parts {
	let inner = schema;
	while (typeof inner === 'object' && inner !== null) {
		const definition: Definition =
			(inner as {readonly _zod?: {readonly def?: Definition}})._zod?.def ?? (inner as Definition);
		const wrapped = definition.innerType ?? definition.inner;
		if (wrapped === undefined) return definition;
		inner = wrapped;
	}
	return {};
}

/** What is left of a wrong value when all that is wrong is left out. Items of lists keep their places. */
export type Salvaged<Value> = Value extends readonly (infer Item)[]
	? readonly (Salvaged<Item> | undefined)[]
	: Value extends object
		? {readonly [Key in keyof Value]?: Salvaged<Value[Key]> | undefined}
		: Value;

/** The parts of `value` that are right by themselves, so that they can be checked further. */
export function salvage<Schema extends z.Schema>(
	schema: Schema,
	value: unknown,
): Salvaged<z.output<Schema>> | undefined {
	return salvageAny(schema, value) as Salvaged<z.output<Schema>> | undefined;
}

function salvageAny(schema: z.Schema, value: unknown): unknown {
	if (schema instanceof z.OptionalSchema || schema instanceof z.DefaultSchema) {
		return salvageAny(schema.inner, value);
	}
	if (schema instanceof z.ObjectSchema && isRecord(value)) {
		const entries = Object.entries((schema as z.ObjectSchema).shape).filter(([key]) =>
			Object.hasOwn(value, key),
		);
		return Object.fromEntries(entries.map(([key, part]) => [key, salvageAny(part, value[key])]));
	}
	if (schema instanceof z.ArraySchema && Array.isArray(value)) {
		const {element} = schema as z.ArraySchema;
		return value.map(item => salvageAny(element, item));
	}
	if (schema instanceof z.UnionSchema) {
		const {options} = schema as z.UnionSchema;
		return options.map(option => salvageAny(option, value)).find(result => result !== undefined);
	}
	const result = schema.safeParse(value);
	return result.success ? result.data : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}
