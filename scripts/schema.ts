/**
 * Writes `schema.json`, the JSON Schema of a configuration, from the schemas that validate it: the configuration's,
 * and the options of each built-in strategy. Needs the built package. `--check`: compares.
 */
import {globSync, readFileSync, writeFileSync} from 'node:fs';
import {basename, dirname} from 'node:path';
import {definitionOf} from 'gatepass';
import {z} from 'zod';
import {configurationSchema} from '../src/config/schema.ts';

type JsonSchema = Record<string, unknown>;

const root = new URL('../', import.meta.url);
const file = new URL('schema.json', root);

/** Turn a zod schema into what an editor is to hold a text against, before anything is replaced in it. */
function toJsonSchema(schema: z.ZodType): JsonSchema {
	return z.toJSONSchema(schema, {
		target: 'draft-7',
		io: 'input',
		// A function, for one, cannot stand in a file.
		unrepresentable: 'any',
		override({jsonSchema}) {
			const node = jsonSchema as JsonSchema;
			leaveOutFunctions(node);
			allowReferences(node);
			const properties = node.properties as JsonSchema | undefined;
			if (properties?.strategy && properties.options)
				node.allOf = [{$ref: '#/definitions/optionsByStrategy'}];
		},
	});
}

/** Among several forms, one without any demand is one that JSON has no words for. */
function leaveOutFunctions(node: JsonSchema): void {
	const forms = node.anyOf as JsonSchema[] | undefined;
	if (forms === undefined) return;
	node.anyOf = forms.filter(form => Object.keys(form).some(key => key !== 'description'));
}

/** Where only some strings are right, `${NAME}` is right as well: what it stands for is checked later. */
function allowReferences(node: JsonSchema): void {
	if (node.type !== 'string' || !('pattern' in node || 'format' in node || 'enum' in node)) return;
	const {description, ...strict} = {...node};
	for (const key of Object.keys(strict)) delete node[key];
	Object.assign(node, {
		...(description !== undefined && {description}),
		anyOf: [strict, {type: 'string', pattern: '\\$\\{'}],
	});
}

/** The options of every built-in strategy, by its name. */
async function optionsOfStrategies(): Promise<Map<string, JsonSchema>> {
	const found = new Map<string, JsonSchema>();
	for (const index of globSync('strategies/*/index.ts', {cwd: root}).sort()) {
		const module: Record<string, unknown> = await import(`gatepass/strategies/${basename(dirname(index))}`);
		for (const definition of Object.values(module).map(definitionOf)) {
			if (definition === undefined) continue;
			const {name, options} = definition;
			// A strategy without a schema takes no options.
			const schema =
				options === undefined ? {type: 'object', maxProperties: 0} : toJsonSchema(options as z.ZodType);
			const {$schema: _, ...rest} = schema;
			found.set(name, rest);
		}
	}
	return found;
}

const optionsByStrategy = [...(await optionsOfStrategies())].map(([name, options]) => ({
	if: {properties: {strategy: {const: name}}, required: ['strategy']},
	// biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
	then: {properties: {options}},
}));
const schema = {
	title: 'gatepass configuration',
	...toJsonSchema(configurationSchema),
	definitions: {optionsByStrategy: {allOf: optionsByStrategy}},
};
const text = `${JSON.stringify(schema, null, '\t')}\n`;

if (process.argv.includes('--check')) {
	if (readFileSync(file, 'utf8') !== text) {
		console.error(
			"schema.json is not what the schemas in src and strategies say. Run 'npm run build' and commit it",
		);
		process.exitCode = 1;
	}
} else {
	writeFileSync(file, text);
}
