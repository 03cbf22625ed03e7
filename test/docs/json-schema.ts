/** Enough of JSON Schema (draft 7) for `schema.json`; a keyword that is not known here is an error, not passed over. */

type Schema = Readonly<Record<string, unknown>>;
type Check = (value: unknown, schema: Schema, root: Schema) => boolean;

const isObject = (value: unknown): value is Record<string, unknown> =>
	typeof value === 'object' && value !== null && !Array.isArray(value);

const types: Readonly<Record<string, (value: unknown) => boolean>> = {
	string: value => typeof value === 'string',
	boolean: value => typeof value === 'boolean',
	number: value => typeof value === 'number',
	integer: value => Number.isInteger(value),
	array: Array.isArray,
	object: isObject,
};

/** Each says yes to values that are none of its business. */
const keywords: Readonly<Record<string, Check>> = {
	type: (value, {type}) => types[type as string]?.(value) ?? false,
	const: (value, schema) => value === schema.const,
	enum: (value, schema) => (schema.enum as unknown[]).includes(value),
	pattern: (value, {pattern}) => typeof value !== 'string' || new RegExp(pattern as string, 'u').test(value),
	format: (value, {format}) =>
		typeof value !== 'string' ||
		(format === 'uri' && URL.canParse(value)) ||
		(format === 'email' && /^[^@\s]+@[^@\s]+$/.test(value)),
	minLength: (value, {minLength}) => typeof value !== 'string' || value.length >= (minLength as number),
	minimum: (value, {minimum}) => typeof value !== 'number' || value >= (minimum as number),
	maximum: (value, {maximum}) => typeof value !== 'number' || value <= (maximum as number),
	exclusiveMinimum: (value, schema) =>
		typeof value !== 'number' || value > (schema.exclusiveMinimum as number),
	minItems: (value, {minItems}) => !Array.isArray(value) || value.length >= (minItems as number),
	maxProperties: (value, schema) =>
		!isObject(value) || Object.keys(value).length <= (schema.maxProperties as number),
	items: (value, {items}, root) =>
		!Array.isArray(value) || value.every(item => accepts(items as Schema, item, root)),
	required: (value, {required}) =>
		!isObject(value) || (required as string[]).every(name => Object.hasOwn(value, name)),
	properties: (value, {properties}, root) =>
		!isObject(value) ||
		Object.entries(properties as Record<string, Schema>).every(
			([name, schema]) => !Object.hasOwn(value, name) || accepts(schema, value[name], root),
		),
	propertyNames: (value, {propertyNames}, root) =>
		!isObject(value) || Object.keys(value).every(name => accepts(propertyNames as Schema, name, root)),
	additionalProperties: (value, {additionalProperties, properties = {}}, root) =>
		!isObject(value) ||
		Object.entries(value).every(
			([name, item]) =>
				Object.hasOwn(properties as object, name) || accepts(additionalProperties as Schema, item, root),
		),
	anyOf: (value, {anyOf}, root) => (anyOf as Schema[]).some(schema => accepts(schema, value, root)),
	allOf: (value, {allOf}, root) => (allOf as Schema[]).every(schema => accepts(schema, value, root)),
	if: (value, schema, root) =>
		!accepts(schema.if as Schema, value, root) || accepts(schema.then as Schema, value, root),
	$ref: (value, {$ref}, root) => accepts(definition(root, $ref as string), value, root),
};

/** They say nothing about a value, or are heeded by another keyword. */
const silent = new Set(['$schema', 'title', 'description', 'default', 'definitions', 'then']);

/** Whether a schema accepts a value. */
export function accepts(schema: Schema | boolean, value: unknown, root = schema as Schema): boolean {
	if (typeof schema === 'boolean') return schema;
	return Object.keys(schema).every(keyword => {
		if (silent.has(keyword)) return true;
		const check = keywords[keyword];
		if (check === undefined) throw new Error(`test/docs/json-schema.ts does not know '${keyword}'. Teach it`);
		return check(value, schema, root);
	});
}

function definition(root: Schema, reference: string): Schema {
	const name = /^#\/definitions\/(\w+)$/.exec(reference)?.[1] ?? '';
	return (root.definitions as Record<string, Schema>)[name] as Schema;
}
