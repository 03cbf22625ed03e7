/** Where the keys come from that requests are signed with: the options, variables, the shared files, a program, a container. */
import {CredentialUnavailableError} from '../../src/errors.ts';
import {
	type Environment,
	type HttpClient,
	type Notices,
	type RuleInfo,
	readVariable,
} from '../../src/strategy/index.ts';
import {KeptCredential} from '../command/kept-credential.ts';
import {ProgramSource} from '../command/program-source.ts';
import {readCredentialProcess, type SigningKeys} from '../command/read-output.ts';
import {splitCommand} from './command-line.ts';
import {ContainerEndpoint} from './container.ts';
import type {Sigv4Options} from './options.ts';
import {type Profile, SharedFiles} from './shared-files.ts';

export interface KeyServices {
	readonly environment: Environment;
	readonly http: HttpClient;
	readonly notices: Notices;
	readonly rule: RuleInfo;
}

/** What takes part in a profile that gets its keys in a way that gatepass does not know. */
const otherWays = [
	'role_arn',
	'sso_session',
	'sso_start_url',
	'web_identity_token_file',
	'credential_source',
];
/** Milliseconds for the program that a profile names. */
const usualTimeout = 30_000;

/** A place that is asked, and whose answer is kept until it expires. */
interface Asked {
	readonly place: string;
	readonly kept: KeptCredential<SigningKeys>;
	dispose(): void;
}

type Found = SigningKeys | Asked;

export class KeySource {
	readonly #options: Sigv4Options;
	readonly #services: KeyServices;
	readonly #files: SharedFiles;
	/** By what is asked: the program of a profile may change while gatepass runs. */
	readonly #asked = new Map<string, Asked>();
	readonly #container: ContainerEndpoint;

	constructor(options: Sigv4Options, services: KeyServices) {
		const {environment, http} = services;
		this.#options = options;
		this.#services = services;
		this.#files = new SharedFiles(environment);
		const {container} = options.credentials ?? {};
		this.#container = new ContainerEndpoint(container === true ? undefined : container, environment, http);
	}

	/**
	 * @param fresh ask once more where somebody is asked.
	 * @throws {CredentialUnavailableError} where there are none.
	 * @throws {TokenRequestError} where a program or a container's endpoint fails to give any.
	 */
	get(fresh = false): SigningKeys | Promise<SigningKeys> {
		const found = this.#find();
		const given = (one: Found) => ('kept' in one ? one.kept.get(fresh) : one);
		return found instanceof Promise ? found.then(given) : given(found);
	}

	/** Use these no more, where they came from somebody who can be asked for others. Returns whether there is such. */
	async drop(keys: SigningKeys): Promise<boolean> {
		const found = await this.#find();
		return 'kept' in found && found.kept.drop(keys);
	}

	/** The region, where no option says it. */
	async region(): Promise<string | undefined> {
		const {AWS_REGION, AWS_DEFAULT_REGION} = this.#services.environment;
		const named = AWS_REGION || AWS_DEFAULT_REGION;
		return named || (await this.#files.find(this.#profileName))?.region || undefined;
	}

	/** What there is, for a person; asks nobody. */
	async describe(): Promise<{readonly place: string; readonly expiresAt?: number}> {
		const found = await this.#find();
		if (!('kept' in found)) return {place: `key ${found.accessKeyId}`};
		const known = found.kept.peek();
		const expiresAt = known?.expiresAt;
		return {
			place: `${known === undefined ? 'a key, when it is asked for,' : `key ${known.accessKeyId}`} from ${found.place}`,
			...(expiresAt !== undefined && {expiresAt}),
		};
	}

	forget(): void {
		for (const {kept} of this.#asked.values()) kept.clear();
	}

	dispose(): void {
		for (const asked of this.#asked.values()) asked.dispose();
	}

	get #profileName(): string {
		return this.#options.credentials?.profile ?? this.#files.usualProfile;
	}

	/** Files are looked at only where nothing else says it. */
	#find(): Found | Promise<Found> {
		const {accessKeyId, secretAccessKey, sessionToken, credentials} = this.#options;
		if (accessKeyId !== undefined && secretAccessKey !== undefined) {
			return {accessKeyId, secretAccessKey, sessionToken, expiresAt: undefined};
		}
		if (credentials?.command !== undefined) {
			const {timeout, env} = credentials;
			return this.#program(credentials.command, timeout, env);
		}
		if (credentials?.container !== undefined) return this.#fromContainer();
		if (credentials?.profile !== undefined) return this.#fromNamedProfile(credentials.profile);
		return this.#fromVariables() ?? this.#fromUsualPlaces();
	}

	async #fromNamedProfile(name: string): Promise<Found> {
		const profile = await this.#files.find(name);
		if (profile !== undefined) return this.#fromProfile(profile, name);
		throw this.#unavailable(`there is no profile '${name}' in ${this.#files.paths.join(' or ')}`);
	}

	#fromVariables(): SigningKeys | undefined {
		const {environment} = this.#services;
		const accessKeyId = readVariable(environment, 'AWS_ACCESS_KEY_ID');
		const secretAccessKey = readVariable(environment, 'AWS_SECRET_ACCESS_KEY');
		if (!accessKeyId || !secretAccessKey) return undefined;
		return {
			accessKeyId,
			secretAccessKey,
			sessionToken: readVariable(environment, 'AWS_SESSION_TOKEN') || undefined,
			expiresAt: undefined,
		};
	}

	async #fromUsualPlaces(): Promise<Found> {
		const name = this.#files.usualProfile;
		const profile = await this.#files.find(name);
		const hasKeys = profile?.aws_access_key_id !== undefined || profile?.credential_process !== undefined;
		if (profile !== undefined && hasKeys) return this.#fromProfile(profile, name);
		if (this.#container.isNamed) return this.#fromContainer();
		if (profile !== undefined && otherWays.some(way => way in profile))
			return this.#fromProfile(profile, name);
		throw this.#unavailable(
			`AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, the profile '${name}' of ${this.#files.paths.join(' and ')} has no key, and no container's endpoint is named`,
		);
	}

	#fromProfile(profile: Profile, name: string): Found {
		const {aws_access_key_id: accessKeyId, aws_secret_access_key: secretAccessKey} = profile;
		if (accessKeyId && secretAccessKey) {
			const sessionToken = profile.aws_session_token || undefined;
			return {accessKeyId, secretAccessKey, sessionToken, expiresAt: undefined};
		}
		if (profile.credential_process)
			return this.#program(splitCommand(profile.credential_process), usualTimeout);
		const way = otherWays.find(other => other in profile);
		if (way !== undefined) {
			throw this.#unavailable(
				`the profile '${name}' gets its key by '${way}', which gatepass leaves to AWS's own tool: set 'credentials: {command: [aws, configure, export-credentials, --profile, ${name}]}'`,
			);
		}
		throw this.#unavailable(
			`the profile '${name}' has no 'aws_access_key_id' with 'aws_secret_access_key', and no 'credential_process'`,
		);
	}

	#program(command: string[], timeout: number, env?: Record<string, string>): Asked {
		return this.#asking(`program ${JSON.stringify(command)}`, () => {
			const program = new ProgramSource({command, timeout, env}, this.#services);
			return {
				place: program.name,
				kept: new KeptCredential(() => program.run(readCredentialProcess)),
				dispose: () => program.dispose(),
			};
		});
	}

	#fromContainer(): Asked {
		return this.#asking('container', () => ({
			place: this.#container.place,
			kept: new KeptCredential(() => this.#container.fetch()),
			dispose() {},
		}));
	}

	#asking(key: string, open: () => Asked): Asked {
		let asked = this.#asked.get(key);
		if (asked === undefined) {
			asked = open();
			this.#asked.set(key, asked);
		}
		return asked;
	}

	#unavailable(what: string): CredentialUnavailableError {
		const {match, source} = this.#services.rule;
		return new CredentialUnavailableError({
			code: 'signing-key-missing',
			what: `There is no key to sign with for ${match} (${source}): ${what}`,
			hint: "Put one there, or name another place in 'credentials'",
		});
	}
}
