/** The variables of a configuration: the environment, and what a `.env` beside the configuration adds to it. */
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {parse} from 'dotenv';
import type {Environment} from '../services.ts';
import type {Problems} from './problems.ts';

/** Nothing is written to `process.env`, and nothing in `environment` is overridden. */
export function readEnvironment(folder: string, environment: Environment, problems: Problems): Environment {
	const file = join(folder, '.env');
	try {
		return {...parse(readFileSync(file)), ...environment};
	} catch (error) {
		const {code} = error as NodeJS.ErrnoException;
		if (code !== 'ENOENT') {
			problems.add(
				[],
				`${file} cannot be read (${code})`,
				'Make it a file that this user may read, or remove it',
			);
		}
		return environment;
	}
}
