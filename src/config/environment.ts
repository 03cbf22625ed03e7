/** The variables of a configuration: the environment, and what a `.env` beside the configuration adds to it. */
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {parse} from 'dotenv';
import type {Environment} from '../strategy/services.ts';
import type {Problems} from './problems.ts';

/** Nothing is written to `process.env`, and nothing in `environment` is overridden. */
export function readEnvironment(folder: string, environment: Environment, problems: Problems): Environment {
	const file = join(folder, '.env');
	try {
		const added = parse(readFileSync(file));
		// A variable that is there but undefined is not set, so it overrides nothing.
		const set = Object.entries(environment).filter(([, value]) => value !== undefined);
		return {...added, ...Object.fromEntries(set)};
	} catch (error) {
		const {code} = error as NodeJS.ErrnoException;
		// A folder of that name is somebody else's: Python keeps its virtual environments so.
		if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'EISDIR') {
			problems.add(
				[],
				`${file} cannot be read (${code})`,
				'Make it a file that this user may read, or remove it',
			);
		}
		return environment;
	}
}
