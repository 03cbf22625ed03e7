/**
 * AWS's shared files, `~/.aws/credentials` and `~/.aws/config`
 * (https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html).
 */
import {join} from 'node:path';
import {CredentialUnavailableError} from '../../src/errors.ts';
import {type Environment, FileReadError, resolvePath} from '../../src/strategy/index.ts';
import {TextFiles} from '../signing/text-files.ts';

/** What the files say of one profile; what stands in the file of credentials counts first. */
export type Profile = Readonly<Record<string, string | undefined>>;

export class SharedFiles {
	readonly #environment: Environment;
	readonly #files = new TextFiles();
	/** Taken apart once, as long as the files hold the same. */
	#last:
		| {
				readonly name: string;
				readonly secrets: string;
				readonly settings: string;
				readonly profile: Profile | undefined;
		  }
		| undefined;

	constructor(environment: Environment) {
		this.#environment = environment;
	}

	/** The profile that is used where none is named. */
	get usualProfile(): string {
		return this.#environment.AWS_PROFILE || 'default';
	}

	get paths(): readonly [credentials: string, configuration: string] {
		const {AWS_SHARED_CREDENTIALS_FILE: credentials, AWS_CONFIG_FILE: configuration} = this.#environment;
		const path = (named: string | undefined, usual: string): string =>
			resolvePath(named || join('~/.aws', usual), process.cwd(), this.#environment);
		return [path(credentials, 'credentials'), path(configuration, 'config')];
	}

	/**
	 * A profile, read again when a file has changed; `undefined`: there is none of this name.
	 *
	 * @throws {CredentialUnavailableError} where a file is there and cannot be read.
	 */
	async find(name: string): Promise<Profile | undefined> {
		const [credentials, configuration] = this.paths;
		const [secrets, settings] = await Promise.all([this.#read(credentials), this.#read(configuration)]);
		const last = this.#last;
		if (last?.name === name && last.secrets === secrets && last.settings === settings) return last.profile;
		const profile = profileIn(secrets, settings, name);
		this.#last = {name, secrets, settings, profile};
		return profile;
	}

	async #read(file: string): Promise<string> {
		try {
			return await this.#files.read(file);
		} catch (error) {
			if (!(error instanceof FileReadError)) throw error;
			if (error.reason === 'missing' || error.code === 'ENOTDIR') return '';
			throw new CredentialUnavailableError(
				{
					code: 'token-source-unusable',
					what: `The file ${file} cannot be read (${error.code ?? error.message})`,
					hint: 'Put it right, or name another in AWS_SHARED_CREDENTIALS_FILE or AWS_CONFIG_FILE',
				},
				{cause: error},
			);
		}
	}
}

function profileIn(secrets: string, settings: string, name: string): Profile | undefined {
	const secret = sectionOf(secrets, [name]);
	const heads = name === 'default' ? ['default', 'profile default'] : [`profile ${name}`];
	const open = sectionOf(settings, heads);
	if (secret === undefined && open === undefined) return undefined;
	// A key and its secret are never taken from two files.
	const {aws_access_key_id: _, aws_secret_access_key: __, aws_session_token: ___, ...rest} = open ?? {};
	return {...(secret?.aws_access_key_id === undefined ? open : rest), ...secret};
}

/** What stands under one of the headings; `undefined`: there is no such heading. */
function sectionOf(text: string, heads: readonly string[]): Record<string, string> | undefined {
	let found: Record<string, string> | undefined;
	let isInside = false;
	for (const line of text.split(/\r?\n/)) {
		const head = /^\[\s*([^\]]*?)\s*\]/.exec(line)?.[1];
		if (head !== undefined) {
			isInside = heads.includes(head.replace(/\s+/g, ' ').replace(/["']/g, ''));
			if (isInside) found ??= {};
			continue;
		}
		// What is indented belongs to the entry before, which is none of those that count here.
		if (!isInside || found === undefined || /^\s|^[#;]/.test(line)) continue;
		const equals = line.indexOf('=');
		if (equals === -1) continue;
		const value = line.slice(equals + 1).replace(/\s+[#;].*$/, '');
		found[line.slice(0, equals).trim().toLowerCase()] = value.trim();
	}
	return found;
}
