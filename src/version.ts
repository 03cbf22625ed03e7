/** The version of this package. */
import {readFileSync} from 'node:fs';

export function version(): string {
	// The way up from src and from dist/src would end in two places, so look for the file.
	for (const place of ['../package.json', '../../package.json']) {
		try {
			const text = readFileSync(new URL(place, import.meta.url), 'utf8');
			const {name, version} = JSON.parse(text) as {name: string; version: string};
			// In a program that a bundler made, it may be that of the program.
			if (name === 'gatepass') return version;
		} catch {}
	}
	return 'unknown';
}
