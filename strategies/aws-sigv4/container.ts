/**
 * The endpoint of a container that gives keys
 * (https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html).
 */
import {CredentialUnavailableError, TokenRequestError} from '../../src/errors.ts';
import {
	type Environment,
	FileReadError,
	type HttpClient,
	isLoopback,
	readVariable,
} from '../../src/strategy/index.ts';
import type {SigningKeys} from '../command/read-output.ts';
import {TextFiles} from '../signing/text-files.ts';

/** Addresses of the machine that the container runs on: nothing else may be asked in plain http. */
const agents = new Set(['169.254.170.2', '169.254.170.23', '[fd00:ec2::23]']);

export class ContainerEndpoint {
	readonly #named: string | undefined;
	readonly #environment: Environment;
	readonly #http: HttpClient;
	readonly #files = new TextFiles();

	/** @param named the endpoint; `undefined`: the variables name it. */
	constructor(named: string | undefined, environment: Environment, http: HttpClient) {
		this.#named = named;
		this.#environment = environment;
		this.#http = http;
	}

	/** Whether there is an endpoint to ask. Asks nobody. */
	get isNamed(): boolean {
		return this.#where() !== undefined;
	}

	/** For a person. */
	get place(): string {
		const url = URL.parse(this.#where() ?? '');
		return url === null ? "the container's endpoint" : url.origin + url.pathname;
	}

	/** @throws {TokenRequestError} where it gives none. */
	async fetch(): Promise<SigningKeys> {
		const where = this.#where();
		if (where === undefined) {
			throw new CredentialUnavailableError({
				code: 'signing-key-missing',
				what: "Neither AWS_CONTAINER_CREDENTIALS_FULL_URI nor AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is set, so there is no container's endpoint",
				hint: "Set one, or name the endpoint as 'credentials: {container: URL}'",
			});
		}
		const url = URL.parse(where);
		if (url === null) throw this.#error('is no URL', 'Put AWS_CONTAINER_CREDENTIALS_FULL_URI right');
		if (url.protocol !== 'https:' && !isLoopback(url.hostname) && !agents.has(url.hostname)) {
			throw this.#error('would send keys in plain http from another machine', 'Name an https URL');
		}
		const authorization = await this.#authorization();
		let response: Response;
		try {
			response = await this.#http.fetch(url, authorization === undefined ? {} : {headers: {authorization}});
		} catch (cause) {
			throw this.#error(
				`did not answer: ${(cause as Error).message}`,
				'See whether its agent runs',
				cause as Error,
			);
		}
		if (response.status !== 200) {
			throw this.#error(`answered ${response.status}`, 'See whether the container has a role');
		}
		const {AccessKeyId, SecretAccessKey, Token, Expiration} = await readObject(response);
		if (!isText(AccessKeyId) || !isText(SecretAccessKey)) {
			throw this.#error(
				"gave something else than JSON with 'AccessKeyId' and 'SecretAccessKey'",
				'See whether it is the right URL',
			);
		}
		const expiresAt = isText(Expiration) ? Date.parse(Expiration) : Number.NaN;
		return {
			accessKeyId: AccessKeyId,
			secretAccessKey: SecretAccessKey,
			sessionToken: isText(Token) ? Token : undefined,
			expiresAt: Number.isNaN(expiresAt) ? undefined : expiresAt,
		};
	}

	#where(): string | undefined {
		const {AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: relative, AWS_CONTAINER_CREDENTIALS_FULL_URI: full} =
			this.#environment;
		if (this.#named !== undefined) return this.#named;
		return relative ? `http://169.254.170.2${relative}` : full || undefined;
	}

	/** Read again each time: the file's token lives for hours. */
	async #authorization(): Promise<string | undefined> {
		const {AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file} = this.#environment;
		let text: string | undefined;
		try {
			text = file
				? (await this.#files.read(file)).trim()
				: readVariable(this.#environment, 'AWS_CONTAINER_AUTHORIZATION_TOKEN') || undefined;
		} catch (error) {
			if (!(error instanceof FileReadError)) throw error;
			throw new CredentialUnavailableError(
				{
					code: 'token-source-unusable',
					what: `The file ${file}, named by AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, cannot be read (${error.code ?? error.message})`,
					hint: 'Put it right',
				},
				{cause: error},
			);
		}
		if (text === undefined || /^[\x20-\x7E]+$/.test(text)) return text;
		throw new CredentialUnavailableError({
			code: 'token-source-unusable',
			what: `The token for ${this.place} has characters that no header may have`,
			hint: `Put ${file ? `the file ${file}` : 'AWS_CONTAINER_AUTHORIZATION_TOKEN'} right`,
		});
	}

	#error(what: string, hint: string, cause?: Error): TokenRequestError {
		return new TokenRequestError(
			{code: 'token-source-unusable', what: `${this.place}, which is to give keys for AWS, ${what}`, hint},
			{},
			cause === undefined ? {} : {cause},
		);
	}
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

/** The parser's error is left out: it could quote a key. */
async function readObject(response: Response): Promise<Record<string, unknown>> {
	try {
		return ((await response.json()) as Record<string, unknown> | null) ?? {};
	} catch {
		return {};
	}
}
