/**
 * Where a realm's KDCs are, as the library finds them: by its configuration (krb5.conf), else by DNS (RFC 4120 section
 * 7.2.3). The library itself does not say which of them it asked.
 */
import {promises as dns} from 'node:dns';
import {readdir} from 'node:fs/promises';
import {join} from 'node:path';
import {readRegular} from './regular-file.ts';

const usualFile = '/etc/krb5.conf';
/** Milliseconds for a name server. */
const patience = 2000;
/** Files that name each other. */
const deepest = 10;

/** One `name = value`, with the section and the groups that it stands in: `realms`, `EXAMPLE.ORG`, `kdc`. */
interface Setting {
	readonly path: readonly string[];
	readonly value: string;
	readonly file: string;
}

/** `kdc.example.org:88 (/etc/krb5.conf)`. `realm` undefined: that of the configuration. Empty where nobody says. */
export async function kdcsOf(
	realm: string | undefined,
	configured = process.env.KRB5_CONFIG,
): Promise<string[]> {
	const files = configured === undefined || configured === '' ? [usualFile] : configured.split(':');
	const settings = (await Promise.all(files.map(file => settingsIn(file)))).flat();
	const valuesOf = (...path: string[]): Setting[] =>
		settings.filter(setting => setting.path.join('\0') === path.join('\0'));
	const [byDefault] = valuesOf('libdefaults', 'default_realm');
	const wanted = realm ?? byDefault?.value;
	if (wanted === undefined) return [];
	const named = valuesOf('realms', wanted, 'kdc');
	if (named.length > 0) return named.map(({value, file}) => `${value} (${file})`);
	const [lookup] = valuesOf('libdefaults', 'dns_lookup_kdc');
	return /^(?:no|n|false|f|off|0|nil)$/i.test(lookup?.value ?? '') ? [] : announced(wanted);
}

async function announced(realm: string): Promise<string[]> {
	const resolver = new dns.Resolver({timeout: patience, tries: 1});
	const found = await Promise.all(
		['_udp', '_tcp'].map(transport => resolver.resolveSrv(`_kerberos.${transport}.${realm}`).catch(() => [])),
	);
	return [...new Set(found.flat().map(({name, port}) => `${name}:${port} (DNS)`))];
}

/** A file that is not there or not readable says nothing, as for the library where there are others. */
async function settingsIn(file: string, depth = 0): Promise<Setting[]> {
	if (depth > deepest) return [];
	const settings: Setting[] = [];
	let path: string[] = [];
	for (const line of textOf(file)
		.split('\n')
		.map(one => one.trim())) {
		const [, directive, other] = /^(include|includedir)\s+(.+)$/.exec(line) ?? [];
		const [, section] = /^\[(.+?)\]/.exec(line) ?? [];
		const [, name, value] = /^([^#;=\s][^=]*?)\s*=\s*(.*)$/.exec(line) ?? [];
		if (other !== undefined) {
			for (const one of await filesOf(directive, other)) settings.push(...(await settingsIn(one, depth + 1)));
		} else if (section !== undefined) path = [section];
		else if (line.startsWith('}')) path.pop();
		else if (value === '{') path.push(unmarked(name));
		else if (value !== undefined)
			settings.push({path: [...path, unmarked(name)], value: unquoted(value), file});
	}
	return settings;
}

function textOf(file: string): string {
	try {
		return readRegular(file).toString('utf8');
	} catch {
		return '';
	}
}

/** Of a folder, what MIT's library takes: names of letters, digits, `-` and `_`, or that end in `.conf`. */
async function filesOf(directive: string | undefined, place: string): Promise<string[]> {
	if (directive === 'include') return [place];
	const names = await readdir(place).catch((): string[] => []);
	return names
		.filter(name => /^[\w-]+$|^[^.].*\.conf$/.test(name))
		.sort()
		.map(name => join(place, name));
}

/** A star says that nothing after it counts, which is left to the library. */
function unmarked(name = ''): string {
	return name.replace(/\*$/, '').trim();
}

function unquoted(value: string): string {
	return /^"(.*)"$/.exec(value)?.[1] ?? value;
}
