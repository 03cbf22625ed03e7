/** What a zod schema says about the parts of a value. Schemas of other libraries say nothing of the kind. */
import {z} from 'zod';
import type {Path} from './source.ts';

/** The names of the settings that the object at `path` may have; none where the schema does not tell. */
export function settingsAt(schema: unknown, path: Path): readonly string[] {
	const [part, ...rest] = path;
	const inner = unwrap(schema);
	if (inner instanceof z.ZodUnion) {
		return inner.options.flatMap(option => [...settingsAt(option, path)]);
	}
	if (part === undefined) return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
	if (inner instanceof z.ZodObject) return settingsAt(inner.shape[part], rest);
	if (inner instanceof z.ZodArray) return settingsAt(inner.element, rest);
	return [];
}

/** What is left of a wrong value when all that is wrong is left out. Items of lists keep their places. */
export type Salvaged<Value> = Value extends readonly (infer Item)[]
	? readonly (Salvaged<Item> | undefined)[]
	: Value extends object
		? {readonly [Key in keyof Value]?: Salvaged<Value[Key]> | undefined}
		: Value;

/** The parts of `value` that are right by themselves, so that they can be checked further. */
export function salvage<Schema extends z.ZodType>(
	schema: Schema,
	value: unknown,
): Salvaged<z.output<Schema>> | undefined {
	return salvageAny(schema, value) as Salvaged<z.output<Schema>> | undefined;
}

function salvageAny(schema: unknown, value: unknown): unknown {
	const inner = unwrap(schema);
	if (inner instanceof z.ZodObject && isRecord(value)) {
		const entries = Object.entries(inner.shape).filter(([key]) => Object.hasOwn(value, key));
		return Object.fromEntries(entries.map(([key, part]) => [key, salvageAny(part, value[key])]));
	}
	if (inner instanceof z.ZodArray && Array.isArray(value)) {
		return value.map(item => salvageAny(inner.element, item));
	}
	if (inner instanceof z.ZodUnion) {
		return inner.options.map(option => salvageAny(option, value)).find(result => result !== undefined);
	}
	if (!(inner instanceof z.ZodType)) return undefined;
	const result = inner.safeParse(value);
	return result.success ? result.data : undefined;
}

function unwrap(schema: unknown): unknown {
	let inner = schema;
	while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault) inner = inner.unwrap();
	return inner;
}

function isRecord(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}
