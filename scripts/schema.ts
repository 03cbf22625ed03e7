/** Writes `schema.json`, the JSON Schema of a configuration, from the schema that validates it. `--check`: compares. */
import {readFileSync, writeFileSync} from 'node:fs';
import {z} from 'zod';
import {configurationSchema} from '../src/config/schema.ts';

const file = new URL('../schema.json', import.meta.url);
const schema = z.toJSONSchema(configurationSchema, {target: 'draft-7', io: 'input'});
const text = `${JSON.stringify({title: 'gatepass configuration', ...schema}, null, '\t')}\n`;

if (process.argv.includes('--check')) {
	if (readFileSync(file, 'utf8') !== text) {
		console.error("schema.json is not what src/config/schema.ts says. Run 'npm run build' and commit it");
		process.exitCode = 1;
	}
} else {
	writeFileSync(file, text);
}
