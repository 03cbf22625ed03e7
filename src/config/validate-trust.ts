/** Checks one entry under `trust`. */
import {accessSync, constants, statSync} from 'node:fs';
import type {z} from 'zod';
import {resolvePath} from '../paths.ts';
import type {TrustEntry} from './configuration.ts';
import {sourceOf, type ValidationContext} from './context.ts';
import type {trustSchema} from './schema.ts';
import type {Salvaged} from './settings.ts';
import type {Path} from './source.ts';
import {validatePatterns} from './validate-patterns.ts';

export function validateTrust(
	{match, ca, only}: Salvaged<z.output<typeof trustSchema>>,
	index: number,
	{source, folder, environment, problems}: ValidationContext,
): TrustEntry {
	const path: Path = ['trust', index];
	const files: string[] = [];
	for (const [position, written] of [ca].flat().entries()) {
		if (written === undefined) continue;
		const file = resolvePath(written, folder, environment);
		files.push(file);
		const reason = whyUnreadable(file);
		if (reason === undefined) continue;
		const place = Array.isArray(ca) ? [...path, 'ca', position] : [...path, 'ca'];
		problems.add(place, `the CA file ${file} ${reason}`, 'Name a PEM file that this user may read');
	}
	return {
		patterns: validatePatterns(match, [...path, 'match'], problems).map(({pattern}) => pattern),
		files,
		only: only ?? false,
		source: sourceOf(path, source),
	};
}

function whyUnreadable(file: string): string | undefined {
	try {
		if (!statSync(file).isFile()) return 'is not a file';
		accessSync(file, constants.R_OK);
		return undefined;
	} catch (error) {
		const {code} = error as NodeJS.ErrnoException;
		return code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
	}
}
