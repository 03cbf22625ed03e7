/**
 * Where certbot keeps things, so that it and gatepass can use one folder:
 *
 * ```
 * live/NAME/            cert.pem, chain.pem, fullchain.pem, privkey.pem: links into archive/NAME
 * archive/NAME/         cert1.pem, … of each version
 * renewal/NAME.conf     how it was obtained
 * accounts/SERVER/      accounts, by the MD5 of their public key
 * keys/ csr/            second copies of keys and requests, which only certbot makes
 * renewal-hooks/        pre, deploy, post
 * gatepass/pending/     keys and orders that are not finished, which only gatepass makes
 * gatepass/credentials/ keys for updates of DNS zones, by certificate, in certbot's form
 * ```
 *
 * `live/NAME` is a folder where certbot made it, and a link to a folder of links beside it where gatepass did
 * (`live/.NAME.1`): then one rename changes all four at once. certbot takes both alike.
 */
import {mkdir, readdir, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {GatepassError} from '../../errors.ts';

/** The four files of a version. */
export const kinds = ['cert', 'chain', 'fullchain', 'privkey'] as const;
export type Kind = (typeof kinds)[number];

const readme = `This directory contains your keys and certificates.

\`[cert name]/privkey.pem\`  : the private key for your certificate.
\`[cert name]/fullchain.pem\`: the certificate file used in most server software.
\`[cert name]/chain.pem\`    : the CA certificates alone.
\`[cert name]/cert.pem\`     : the certificate alone.

Do not move or rename these files: certbot and gatepass expect them here.
`;

export class CertbotFolder {
	readonly path: string;

	constructor(path: string) {
		this.path = path;
	}

	/** The link, or the folder of links. */
	live(name: string): string {
		return join(this.path, 'live', name);
	}

	archive(name: string): string {
		return join(this.path, 'archive', name);
	}

	configuration(name: string): string {
		return join(this.path, 'renewal', `${name}.conf`);
	}

	/** Names of the lineages, in their order; of those too whose other files are missing. */
	async names(): Promise<string[]> {
		try {
			const files = await readdir(join(this.path, 'renewal'));
			return files.flatMap(file => (file.endsWith('.conf') ? [file.slice(0, -5)] : [])).sort();
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
			throw error;
		}
	}

	/** Make what is missing, with certbot's modes. What is there keeps its own. */
	async prepare(): Promise<void> {
		await mkdir(this.path, {recursive: true, mode: 0o755});
		for (const [name, mode] of [
			['live', 0o700],
			['archive', 0o700],
			['accounts', 0o700],
			['renewal', 0o755],
			['renewal-hooks/pre', 0o755],
			['renewal-hooks/deploy', 0o755],
			['renewal-hooks/post', 0o755],
			['gatepass/pending', 0o700],
			['gatepass/credentials', 0o700],
		] as const) {
			await mkdir(join(this.path, name), {recursive: true, mode});
		}
		await writeFile(join(this.path, 'live/README'), readme, {flag: 'wx', mode: 0o644}).catch(
			(error: NodeJS.ErrnoException) => {
				if (error.code !== 'EEXIST') throw error;
			},
		);
	}
}

/**
 * A name that is a file's name and no path: it comes from people and from servers.
 *
 * @throws {GatepassError} for any other.
 */
export function checkLineageName(name: string): string {
	if (!/^[^/\0\s.-][^/\0\n]*$/u.test(name) || name.length > 200) {
		throw new GatepassError({
			code: 'name-malformed',
			what: `'${name.slice(0, 200)}' cannot be the name of a certificate`,
			hint: 'Take letters, digits, dots and dashes, and begin with a letter or digit',
		});
	}
	return name;
}
