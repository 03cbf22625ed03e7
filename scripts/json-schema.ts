/** Writes a schema of gatepass as JSON Schema (draft 7): what an editor is to hold a text against, before `${…}` is replaced in it. */
import type * as z from '../src/schema/index.ts';

export type JsonSchema = Record<string, unknown>;

type Known =
	| z.StringSchema
	| z.IntegerSchema
	| z.BooleanSchema
	| z.ChoiceSchema<string | boolean>
	| z.AnySchema<unknown>
	| z.ArraySchema
	| z.RecordSchema
	| z.ObjectSchema
	| z.UnionSchema
	| z.OptionalSchema<unknown, unknown>
	| z.DefaultSchema<unknown, unknown>;

/** The JSON Schema of what a schema takes. Rules beside the kind of a value are left out: JSON has no words for them. */
export function toJsonSchema(schema: z.Schema): JsonSchema {
	const {description} = schema;
	return {...(description !== undefined && {description}), ...describeKind(schema as Known, description)};
}

function describeKind(schema: Known, description: string | undefined): JsonSchema {
	switch (schema.kind) {
		case 'optional':
			return withoutDescription(toJsonSchema(schema.inner), description);
		case 'default':
			return {default: schema.value, ...withoutDescription(toJsonSchema(schema.inner), description)};
		case 'string':
			return describeString(schema);
		case 'integer': {
			const {exclusiveMinimum, minimum, maximum} = schema;
			return {
				type: 'integer',
				...(exclusiveMinimum !== undefined && {exclusiveMinimum}),
				...(minimum !== undefined && {minimum}),
				maximum,
			};
		}
		case 'boolean':
			return {type: 'boolean'};
		case 'choice':
			return describeChoice(schema);
		case 'any':
			return {};
		case 'array': {
			const {element, minItems} = schema;
			return {...(minItems !== undefined && {minItems}), type: 'array', items: toJsonSchema(element)};
		}
		case 'record':
			return {
				type: 'object',
				propertyNames: {type: 'string'},
				additionalProperties: toJsonSchema(schema.value),
			};
		case 'object':
			return describeObject(schema);
		case 'union': {
			// A function, for one, cannot stand in a file: a form without any demand is left out.
			const forms = schema.options.map(toJsonSchema);
			return {anyOf: forms.filter(form => Object.keys(form).some(key => key !== 'description'))};
		}
	}
}

/** What a wrapper says of itself stands in the place of what it wraps says. */
function withoutDescription(inner: JsonSchema, own: string | undefined): JsonSchema {
	if (own === undefined) return inner;
	const {description: _, ...rest} = inner;
	return rest;
}

function describeString({minLength, pattern, format}: z.StringSchema): JsonSchema {
	const strict = {
		type: 'string',
		...(minLength !== undefined && {minLength}),
		...(format !== undefined && {format}),
		...(format === 'base64' && {contentEncoding: 'base64'}),
		...(pattern !== undefined && {pattern: pattern.source}),
	};
	return pattern === undefined && format === undefined ? strict : orReference(strict);
}

function describeChoice({values}: z.ChoiceSchema<string | boolean>): JsonSchema {
	const [value] = values;
	if (values.length === 1) return {type: typeof value, const: value};
	return orReference({type: 'string', enum: values});
}

/** Where only some strings are right, `${NAME}` is right as well: what it stands for is checked later. */
function orReference(strict: JsonSchema): JsonSchema {
	return {anyOf: [strict, {type: 'string', pattern: '\\$\\{'}]};
}

function describeObject({shape, others}: z.ObjectSchema): JsonSchema {
	const properties: JsonSchema = {};
	for (const [key, part] of Object.entries(shape)) properties[key] = toJsonSchema(part);
	const required = Object.entries(shape).filter(([, {kind}]) => kind !== 'optional' && kind !== 'default');
	return {
		type: 'object',
		properties,
		...(required.length > 0 && {required: required.map(([key]) => key)}),
		...{refused: {additionalProperties: false}, kept: {additionalProperties: {}}, 'left out': {}}[others],
		// The options of a strategy are those that it has itself.
		...('strategy' in shape && 'options' in shape && {allOf: [{$ref: '#/definitions/optionsByStrategy'}]}),
	};
}
