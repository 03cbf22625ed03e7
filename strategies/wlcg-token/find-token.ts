/** Looks for a token in the places of WLCG Bearer Token Discovery, in their order. */
import {join} from 'node:path';
import {CredentialUnavailableError} from '../../src/errors.ts';
import {type Environment, readVariable, resolvePath} from '../../src/strategy/index.ts';
import {bearerToken} from '../bearer/jwt.ts';
import {reasonOf, TokenFiles} from '../bearer/token-files.ts';

export interface FoundToken {
	/** A secret. */
	readonly token: string;
	/** For a person: the variable or file. */
	readonly place: string;
}

/** There is no token, or one that has expired: what a renewal is for. Whatever else is wrong, somebody has to put right. */
export class NoValidToken extends CredentialUnavailableError {}

export class TokenFinder {
	readonly #file: string | undefined;
	readonly #environment: Environment;
	readonly #folder: string;
	readonly #files = new TokenFiles();

	constructor(file: string | undefined, environment: Environment, folder: string) {
		this.#file = file;
		this.#environment = environment;
		this.#folder = folder;
	}

	/**
	 * The token of the first place that has one. Files are read again when they have changed.
	 *
	 * @throws {CredentialUnavailableError} where no place has one, a file that was named is missing, or what is found
	 * is no bearer token.
	 */
	async find(): Promise<FoundToken> {
		if (this.#file !== undefined) {
			const file = resolvePath(this.#file, this.#folder, this.#environment);
			const found = await this.#fromFile(file, "the option 'file'");
			if (found !== undefined) return found;
			throw new NoValidToken({
				code: 'token-file-unusable',
				what: `The file ${file}, named by the option 'file', is empty`,
				hint: 'Write the token into it',
			});
		}
		const found = this.#fromVariable() ?? (await this.#fromNamedFile()) ?? (await this.#fromUsualFiles());
		if (found !== undefined) return found;
		throw new NoValidToken({
			code: 'token-missing',
			what: `There is no bearer token: BEARER_TOKEN and BEARER_TOKEN_FILE are not set, and there is none in ${this.#usualPlaces().join(' or ')}`,
			hint: 'Get one, for example with oidc-token or htgettoken',
		});
	}

	/** The one in the variable, which is there without a look at any file; `undefined` also where it is no token. */
	get atHand(): FoundToken | undefined {
		try {
			return this.#file === undefined ? this.#fromVariable() : undefined;
		} catch {
			return undefined;
		}
	}

	#fromVariable(): FoundToken | undefined {
		const text = readVariable(this.#environment, 'BEARER_TOKEN')?.trim();
		return text ? check(text, 'the variable BEARER_TOKEN') : undefined;
	}

	async #fromNamedFile(): Promise<FoundToken | undefined> {
		const named = this.#environment.BEARER_TOKEN_FILE;
		return named
			? this.#fromFile(resolvePath(named, process.cwd(), this.#environment), 'the variable BEARER_TOKEN_FILE')
			: undefined;
	}

	async #fromUsualFiles(): Promise<FoundToken | undefined> {
		for (const file of this.#usualFiles()) {
			const found = await this.#fromFile(file);
			if (found !== undefined) return found;
		}
		return undefined;
	}

	#usualFiles(): string[] {
		const runtime = this.#environment.XDG_RUNTIME_DIR;
		return [...(runtime ? [join(runtime, fileName())] : []), join('/tmp', fileName())];
	}

	/** For a person, with the place that is passed over where the variable for it is missing. */
	#usualPlaces(): string[] {
		const missing = `$XDG_RUNTIME_DIR/${fileName()} (the variable XDG_RUNTIME_DIR is not set)`;
		return [...(this.#environment.XDG_RUNTIME_DIR ? [] : [missing]), ...this.#usualFiles()];
	}

	/** `namedBy`: who named the file; one that nobody named may be missing. */
	async #fromFile(file: string, namedBy?: string): Promise<FoundToken | undefined> {
		const text = (await this.#readAgain(file, namedBy))?.trim();
		return text ? check(text, file) : undefined;
	}

	async #readAgain(file: string, namedBy: string | undefined): Promise<string | undefined> {
		try {
			return await this.#files.read(file, ({uid}) => {
				// Everybody may write to /tmp: a file that somebody else put there is not this user's token.
				if (namedBy === undefined && uid !== process.geteuid?.() && uid !== 0) {
					throw new CredentialUnavailableError({
						code: 'token-file-unusable',
						what: `${file} belongs to another user`,
						hint: 'Remove it, or name your own in BEARER_TOKEN_FILE',
					});
				}
			});
		} catch (error) {
			if (error instanceof CredentialUnavailableError) throw error;
			const reason = reasonOf(error);
			if (namedBy === undefined && reason === 'ENOENT') return undefined;
			const by = namedBy === undefined ? '' : `, named by ${namedBy},`;
			const kind = reason === 'ENOENT' ? NoValidToken : CredentialUnavailableError;
			throw new kind(
				{
					code: 'token-file-unusable',
					what: `The token file ${file}${by} cannot be read (${reason})`,
					hint: 'Put it right, or name another',
				},
				{cause: error},
			);
		}
	}
}

function fileName(): string {
	return `bt_u${process.geteuid?.() ?? 0}`;
}

function check(token: string, place: string): FoundToken {
	if (bearerToken.test(token)) return {token, place};
	throw new CredentialUnavailableError({
		code: 'token-malformed',
		what: `What ${place} holds is no bearer token: it has characters that none may have (RFC 6750 section 2.1)`,
		hint: 'Write the token alone',
	});
}
