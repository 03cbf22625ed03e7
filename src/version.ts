/** The version of this package. */
import {readFileSync} from 'node:fs';

export function version(): string {
	// The way up from src and from dist/src would end in two places, so look for the file.
	for (const place of ['../package.json', '../../package.json']) {
		try {
			return (JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')) as {version: string}).version;
		} catch {}
	}
	return 'unknown';
}
