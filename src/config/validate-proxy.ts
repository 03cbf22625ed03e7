/** Checks what a configuration or a rule says about the way out. */
import type {Problems} from './problems.ts';
import type {Path} from './source.ts';

/** The value may hold a password, so it is not repeated. */
export function checkProxy(setting: string | undefined, path: Path, problems: Problems): void {
	if (setting === undefined || setting === 'environment' || setting === 'none') return;
	const url = URL.parse(setting);
	if (url !== null && /^https?:$/.test(url.protocol) && url.hostname !== '') return;
	problems.add(
		path,
		'it is no URL of a proxy that gatepass can use',
		"Write one such as http://proxy.example.org:3128, or 'environment' or 'none'",
		'proxy-unusable',
	);
}
