/**
 * Writes `schema.json`, the JSON Schema of a configuration, from the schemas that validate it: the configuration's,
 * and the options of each built-in strategy. Needs the built package. `--check`: compares.
 */
import {globSync, readFileSync, writeFileSync} from 'node:fs';
import {basename, dirname} from 'node:path';
import {definitionOf} from 'gatepass';
import {configurationSchema} from '../src/config/schema.ts';
import type {Schema} from '../src/schema/index.ts';
import {type JsonSchema, toJsonSchema} from './json-schema.ts';

const root = new URL('../', import.meta.url);
const file = new URL('schema.json', root);

/** The options of every built-in strategy, by its name. */
async function optionsOfStrategies(): Promise<Map<string, JsonSchema>> {
	const found = new Map<string, JsonSchema>();
	for (const index of globSync('strategies/*/index.ts', {cwd: root}).sort()) {
		const module: Record<string, unknown> = await import(`gatepass/strategies/${basename(dirname(index))}`);
		for (const definition of Object.values(module).map(definitionOf)) {
			if (definition === undefined) continue;
			const {name, options} = definition;
			// A strategy without a schema takes no options.
			const none = {type: 'object', maxProperties: 0};
			found.set(name, options === undefined ? none : toJsonSchema(options as unknown as Schema));
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
	$schema: 'http://json-schema.org/draft-07/schema#',
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
