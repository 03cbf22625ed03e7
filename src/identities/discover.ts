/** Finds the user's grid certificate where the grid's own tools and cernrequests keep it. */
import {join} from 'node:path';
import {CredentialUnavailableError} from '../errors.ts';
import {homeFolder, isFileContent, resolvePath} from '../strategy/paths.ts';
import type {Environment, IdentitySource} from '../strategy/services.ts';
import {isFolder, isMissing, reasonAgainstFile, reasonAgainstProxy} from './probe.ts';
import type {IdentityPlace} from './read-identity.ts';

const certificateName = 'usercert.pem';
const keyName = 'userkey.pem';
const pkcs12Name = 'usercred.p12';

/** A place that was looked at and not taken. */
export interface PassedOver {
	/** A variable or a path. */
	readonly place: string;
	/** A sentence about it, without a full stop: `it is not set`. */
	readonly reason: string;
}

/** What a search came to. */
export interface Discovery {
	readonly found: IdentityPlace | undefined;
	/** In the order in which they were looked at. */
	readonly passedOver: readonly PassedOver[];
	/** The files on which the answer depends, whether they are there or not. */
	readonly lookedAt: readonly string[];
}

export interface DiscoverySettings {
	/** Where proxies are put by default. Default: `/tmp`, whatever `TMPDIR` says. */
	readonly proxyFolder?: string | undefined;
	/** Where renewed certificates are kept, in certbot's layout. */
	readonly lineages?: string | undefined;
}

/**
 * The place that `source` names; where it names none, the first of these that has what it should have:
 * `X509_USER_PROXY`, `/tmp/x509up_uUID`, `X509_USER_CERT` with `X509_USER_KEY`, `CERN_CERTIFICATE_PATH`,
 * `~/private`, `~/.globus`.
 *
 * @throws {CredentialUnavailableError} where a place that an option or a variable names lacks what it should have:
 * somebody meant it, so nothing is looked for elsewhere.
 */
export function discover(
	source: IdentitySource,
	folder: string,
	environment: Environment,
	{proxyFolder = '/tmp', lineages}: DiscoverySettings = {},
): Discovery {
	const search = new Search(source, environment);
	const found =
		search.inOptions(folder, lineages) ??
		search.inProxyVariable() ??
		search.asDefaultProxy(proxyFolder) ??
		search.inCertificateVariables() ??
		search.inFolderVariable() ??
		search.inFolder(join(homeFolder(environment), 'private')) ??
		search.inFolder(join(homeFolder(environment), '.globus'));
	return {found, passedOver: search.passedOver, lookedAt: search.lookedAt};
}

/** The error where nothing was found, with every place and why it was passed over. */
export function nothingFound({passedOver}: Pick<Discovery, 'passedOver'>): CredentialUnavailableError {
	const places = passedOver.map(({place, reason}) => `${place}: ${reason}`);
	return new CredentialUnavailableError(
		`There is no grid certificate (${places.join('; ')}). ` +
			`Put ${certificateName} and ${keyName} into ~/.globus, make a proxy with voms-proxy-init, or name a place in the options`,
	);
}

class Search {
	readonly passedOver: PassedOver[] = [];
	readonly lookedAt: string[] = [];
	readonly #source: IdentitySource;
	readonly #environment: Environment;

	constructor(source: IdentitySource, environment: Environment) {
		this.#source = source;
		this.#environment = environment;
	}

	inOptions(folder: string, lineages: string | undefined): IdentityPlace | undefined {
		const {proxy, pkcs12, certificate, key, directory, lineage} = this.#source;
		const path = (option: string, written: string): string =>
			this.#path(`the option '${option}'`, written, folder);
		if (proxy !== undefined) return this.#named('proxy', [path('proxy', proxy)], ["the option 'proxy'"]);
		if (pkcs12 !== undefined) return this.#named('pkcs12', [path('pkcs12', pkcs12)], ["the option 'pkcs12'"]);
		if (certificate !== undefined && key !== undefined) {
			const namedBy = ["the option 'certificate'", "the option 'key'"] as const;
			const files = [path('certificate', certificate), path('key', key)];
			return this.#named('pair', files, namedBy);
		}
		if (lineage !== undefined) {
			const place = path('lineage', join(lineages ?? folder, 'live', lineage));
			const files = [join(place, 'fullchain.pem'), join(place, 'privkey.pem')] as const;
			return this.#named('pair', files, ["the option 'lineage'", "the option 'lineage'"]);
		}
		if (directory === undefined) return undefined;
		return this.#namedFolder(path('directory', directory), "the option 'directory'");
	}

	inProxyVariable(): IdentityPlace | undefined {
		const proxy = this.#variable('X509_USER_PROXY');
		if (proxy !== undefined) return this.#named('proxy', [proxy], ['the variable X509_USER_PROXY']);
		return this.#passOver('the variable X509_USER_PROXY', 'it is not set');
	}

	asDefaultProxy(folder: string): IdentityPlace | undefined {
		const owner = process.geteuid?.();
		// Windows knows no such place.
		if (owner === undefined) return undefined;
		const file = join(folder, `x509up_u${owner}`);
		this.lookedAt.push(file);
		const reason = reasonAgainstProxy(file, owner);
		return reason === undefined ? this.#place('proxy', [file], 'discovery') : this.#passOver(file, reason);
	}

	inCertificateVariables(): IdentityPlace | undefined {
		const certificate = this.#variable('X509_USER_CERT');
		const key = this.#variable('X509_USER_KEY');
		if (certificate === undefined && key === undefined) {
			return this.#passOver('the variables X509_USER_CERT and X509_USER_KEY', 'they are not set');
		}
		if (certificate === undefined || key === undefined) {
			const [set, unset] = key === undefined ? ['CERT', 'KEY'] : ['KEY', 'CERT'];
			throw new CredentialUnavailableError(
				`The variable X509_USER_${set} is set, but X509_USER_${unset} is not. Set both, or neither; a proxy is named by both, or by X509_USER_PROXY`,
			);
		}
		const namedBy = ['the variable X509_USER_CERT', 'the variable X509_USER_KEY'] as const;
		return this.#named('pair', [certificate, key], namedBy);
	}

	inFolderVariable(): IdentityPlace | undefined {
		const folder = this.#variable('CERN_CERTIFICATE_PATH');
		if (folder !== undefined) return this.#namedFolder(folder, 'the variable CERN_CERTIFICATE_PATH');
		return this.#passOver('the variable CERN_CERTIFICATE_PATH', 'it is not set');
	}

	/** A folder that nobody named: what it lacks may be elsewhere. */
	inFolder(folder: string): IdentityPlace | undefined {
		const {found, wrong} = this.#lookInto(folder, 'discovery', reasonAgainstFile);
		return found ?? this.#passOver(folder, isFolder(folder) ? `it ${wrong}` : 'there is no such folder');
	}

	#namedFolder(folder: string, namedBy: string): IdentityPlace {
		// A file that is there and cannot be read is meant: reading it says what is wrong.
		const {found, wrong} = this.#lookInto(folder, namedBy, (file, name) =>
			isMissing(file) ? `lacks ${name}` : undefined,
		);
		if (found !== undefined) return found;
		throw new CredentialUnavailableError(
			isFolder(folder)
				? `The folder ${folder}, named by ${namedBy}, ${wrong}. Put there what it lacks, or name another folder`
				: `There is no folder ${folder}, named by ${namedBy}. Make it, or name another`,
		);
	}

	/** `against`: what is wrong with a file, as a predicate of its folder. */
	#lookInto(
		folder: string,
		namedBy: string,
		against: (file: string, name: string) => string | undefined,
	): {found?: IdentityPlace; wrong: string} {
		const [certificate, key, pkcs12] = [certificateName, keyName, pkcs12Name].map(name =>
			join(folder, name),
		) as [string, string, string];
		this.lookedAt.push(certificate, key);
		const pair = [against(certificate, certificateName), against(key, keyName)].filter(
			reason => reason !== undefined,
		);
		if (pair.length === 0) return {found: this.#place('pair', [certificate, key], namedBy), wrong: ''};
		this.lookedAt.push(pkcs12);
		const wrong = against(pkcs12, pkcs12Name);
		if (wrong === undefined) return {found: this.#place('pkcs12', [pkcs12], namedBy), wrong: ''};
		const lacks = pair.join(' and ').replace(' and lacks ', ' and ');
		// Whoever put half a pair there does not mean the other form.
		return {wrong: pair.length < 2 && isMissing(pkcs12) ? lacks : `${lacks}, and ${wrong}`};
	}

	/** Files that somebody named, each by what named it: one that is missing is looked for nowhere else. */
	#named(kind: IdentityPlace['kind'], files: readonly string[], namedBy: readonly string[]): IdentityPlace {
		this.lookedAt.push(...files);
		for (const [index, file] of files.entries()) {
			if (!isMissing(file)) continue;
			throw new CredentialUnavailableError(
				`There is no file ${file}, named by ${namedBy[index]}. Put it there, or name another`,
			);
		}
		return this.#place(kind, files, namedBy.join(' and '));
	}

	#place(kind: IdentityPlace['kind'], files: readonly string[], namedBy: string): IdentityPlace {
		const {passphrase, requireRobot, alias, thumbprint} = this.#source;
		const [certificate = '', key = certificate] = files;
		return {
			kind: kind === 'pair' && certificate === key ? 'proxy' : kind,
			certificate,
			key,
			namedBy,
			...(passphrase !== undefined && {passphrase}),
			...(requireRobot !== undefined && {requireRobot}),
			...(alias !== undefined && {alias}),
			...(thumbprint !== undefined && {thumbprint}),
		};
	}

	/** Of a key that is given instead of the name of its file, nothing is repeated. */
	#path(namedBy: string, written: string, folder: string): string {
		if (!isFileContent(written)) return resolvePath(written, folder, this.#environment);
		throw new CredentialUnavailableError(
			`${namedBy.slice(0, 1).toUpperCase()}${namedBy.slice(1)} holds text where the name of a file belongs. Write it into a file, and name that`,
		);
	}

	#passOver(place: string, reason: string): undefined {
		this.passedOver.push({place, reason});
	}

	/** An empty variable is one that is not set. Paths in variables start at the working directory. */
	#variable(name: string): string | undefined {
		const written = this.#environment[name];
		return written ? this.#path(`the variable ${name}`, written, process.cwd()) : undefined;
	}
}
