/** Which Debian package a file belongs to, and under which licence it may be passed on. */
import {execFile} from 'node:child_process';
import {readFile} from 'node:fs/promises';
import {promisify} from 'node:util';

const run = promisify(execFile);

/** What the package manager knows of a file. */
export interface Provenance {
	readonly package: string;
	readonly version: string;
	/** As the package's copyright file names it; absent where that cannot be read by a machine. */
	readonly licence?: string;
	readonly copyright?: string;
}

/** The provenance of each file that a package brought; nothing where there is no dpkg. */
export async function provenanceOf(files: readonly string[]): Promise<ReadonlyMap<string, Provenance>> {
	const packageOf = await packagesOf(files);
	const packages = new Map<string, Provenance>();
	for (const name of new Set(packageOf.values())) packages.set(name, await describePackage(name));
	const known = [...packageOf].map(([file, name]) => [file, packages.get(name)] as const);
	return new Map(known.filter((entry): entry is [string, Provenance] => entry[1] !== undefined));
}

async function packagesOf(files: readonly string[]): Promise<Map<string, string>> {
	const output = await outputOf('dpkg-query', ['--search', '--', ...files]);
	const lines = output.split('\n').map(line => /^([a-z\d][a-z\d.+-]*)(?::[a-z\d]+)?: (\/.+)$/.exec(line));
	return new Map(lines.flatMap(match => (match?.[1] && match[2] ? [[match[2], match[1]] as const] : [])));
}

async function describePackage(name: string): Promise<Provenance> {
	const version = (await outputOf('dpkg-query', ['--show', '--showformat=${Version}', name])).trim();
	const text = await readFile(`/usr/share/doc/${name}/copyright`, 'utf8').catch(() => '');
	return {package: name, version, ...licenceOfAllFiles(text)};
}

/** The paragraph for all files of a copyright file in Debian's machine-readable form, version 1.0. */
function licenceOfAllFiles(text: string): Pick<Provenance, 'licence' | 'copyright'> {
	const paragraph = text.split(/\n\s*\n/).find(part => /^Files: \*$/m.test(part)) ?? '';
	const licence = /^License: (\S.*)$/m.exec(paragraph)?.[1];
	const copyright = /^Copyright: (\S.*(?:\n[ \t]+\S.*)*)$/m.exec(paragraph)?.[1]?.replace(/\s+/g, ' ');
	return {...(licence !== undefined && {licence}), ...(copyright !== undefined && {copyright})};
}

/** dpkg-query ends with an error where it does not know one file of many, and has told of the others all the same. */
async function outputOf(command: string, args: readonly string[]): Promise<string> {
	try {
		const env = {...process.env, LC_ALL: 'C'};
		return (await run(command, [...args], {env, maxBuffer: 16 * 1024 * 1024})).stdout;
	} catch (error) {
		return (error as {stdout?: string}).stdout ?? '';
	}
}
