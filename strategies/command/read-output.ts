/** What programs print that give credentials, in the four forms that there are. None of it is repeated in a message. */
import {bearerToken, jwtExpiry} from '../bearer/jwt.ts';
import {UnreadableOutput} from './program-source.ts';

/** A text to be shown. */
export interface PrintedToken {
	/** A secret. */
	readonly value: string;
	/** Milliseconds since 1970; absent where nobody says. */
	readonly expiresAt?: number;
}

/** What kubectl's ExecCredential holds: a token, a client certificate, or both. */
export interface ExecCredential {
	readonly token: string | undefined;
	/** PEM. The key is a secret. */
	readonly certificate: {readonly certificate: string; readonly key: string} | undefined;
	readonly expiresAt: number | undefined;
}

/** What AWS's `credential_process` gives: keys to sign with. All but the first are secrets. */
export interface SigningKeys {
	readonly accessKeyId: string;
	readonly secretAccessKey: string;
	readonly sessionToken: string | undefined;
	readonly expiresAt: number | undefined;
}

/** The credential alone, on one line. `isBearer`: it will stand behind `Bearer`. */
export function readText(output: string, isBearer = true): PrintedToken {
	const value = output.trim();
	if (value === '') {
		throw new UnreadableOutput('printed nothing', 'Have it print the credential on its standard output');
	}
	if (isBearer ? !bearerToken.test(value) : !/^[\x20-\x7E]+$/.test(value)) {
		const isJson = value.startsWith('{');
		throw new UnreadableOutput(
			isJson
				? 'printed JSON, and a text was expected'
				: 'printed something else than one credential on one line',
			isJson ? "Set 'format: json'" : 'Have it print the credential alone',
		);
	}
	return {value, ...expiry(jwtExpiry(value))};
}

/**
 * OAuth's token answer (RFC 6749 section 5.1), and what `az` and `gcloud` make of it: the names of token and time differ.
 *
 * @param askedAt when the program was started, from which `expires_in` counts.
 */
export function readJson(output: string, askedAt: number): PrintedToken {
	const answer = parseObject(output);
	const value = firstText(answer, ['access_token', 'accessToken', 'token']);
	if (value === undefined || !bearerToken.test(value)) {
		throw new UnreadableOutput(
			value === undefined
				? "printed JSON without 'access_token'"
				: 'printed a token that has characters no token may have',
			'Have it print {"access_token": …, "expires_in": …}, or set \'format\' to what it prints',
		);
	}
	const type = firstText(answer, ['token_type', 'tokenType']);
	if (type !== undefined && type.toLowerCase() !== 'bearer') {
		throw new UnreadableOutput(
			'printed a token that is not shown behind Bearer but in another way',
			'Have it get a bearer token',
		);
	}
	const seconds = Number(answer.expires_in ?? Number.NaN);
	const told = Number.isFinite(seconds)
		? askedAt + seconds * 1000
		: timeFrom(answer.expires_at ?? answer.expires_on ?? answer.expiresOn ?? answer.expiry);
	return notExpired({value, ...expiry(told ?? jwtExpiry(value))});
}

/** `client.authentication.k8s.io/v1` and `v1beta1` (https://kubernetes.io/docs/reference/config-api/client-authentication.v1/). */
export function readExecCredential(output: string): ExecCredential {
	const {kind, apiVersion, status} = parseObject(output);
	const isKnown =
		kind === 'ExecCredential' && /^client\.authentication\.k8s\.io\/v1(beta1)?$/.test(String(apiVersion));
	if (!isKnown) {
		throw new UnreadableOutput(
			'printed JSON that is no ExecCredential of client.authentication.k8s.io/v1',
			"Set 'format' to what it prints",
		);
	}
	const given = (typeof status === 'object' && status !== null ? status : {}) as Record<string, unknown>;
	const token = firstText(given, ['token']);
	const certificate = firstText(given, ['clientCertificateData']);
	const key = firstText(given, ['clientKeyData']);
	if ((certificate === undefined) !== (key === undefined)) {
		throw new UnreadableOutput(
			`printed an ExecCredential with a client ${key === undefined ? 'certificate without its key' : 'key without its certificate'}`,
			'Have it print both or neither',
		);
	}
	if (token === undefined && certificate === undefined) {
		throw new UnreadableOutput(
			'printed an ExecCredential without a token and without a client certificate',
			'Run it by hand to see why',
		);
	}
	if (token !== undefined && !bearerToken.test(token)) {
		throw new UnreadableOutput('printed a token that has characters no token may have', 'Run it by hand');
	}
	return notExpired({
		token,
		certificate: certificate === undefined || key === undefined ? undefined : {certificate, key},
		expiresAt: timeFrom(given.expirationTimestamp) ?? (token === undefined ? undefined : jwtExpiry(token)),
	});
}

/** Version 1 (https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html). */
export function readCredentialProcess(output: string): SigningKeys {
	const answer = parseObject(output);
	if (answer.Version !== 1) {
		throw new UnreadableOutput(
			'printed JSON that is no credential_process answer of version 1',
			"Have it print 'Version', 'AccessKeyId' and 'SecretAccessKey'",
		);
	}
	const accessKeyId = firstText(answer, ['AccessKeyId']);
	const secretAccessKey = firstText(answer, ['SecretAccessKey']);
	if (accessKeyId === undefined || secretAccessKey === undefined) {
		throw new UnreadableOutput(
			`printed no '${accessKeyId === undefined ? 'AccessKeyId' : 'SecretAccessKey'}'`,
			'Run it by hand to see why',
		);
	}
	return notExpired({
		accessKeyId,
		secretAccessKey,
		sessionToken: firstText(answer, ['SessionToken']),
		expiresAt: timeFrom(answer.Expiration),
	});
}

/** The parser's error is left out: it could quote the text. */
function parseObject(output: string): Record<string, unknown> {
	let parsed: unknown;
	try {
		parsed = JSON.parse(output);
	} catch {
		parsed = undefined;
	}
	if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
		throw new UnreadableOutput(
			output.trim() === '' ? 'printed nothing' : 'printed something else than a JSON object',
			"Have it print JSON and nothing else, or set 'format' to what it prints",
		);
	}
	return parsed as Record<string, unknown>;
}

function firstText(answer: Record<string, unknown>, names: readonly string[]): string | undefined {
	return names.map(name => answer[name]).find(value => typeof value === 'string' && value !== '') as
		| string
		| undefined;
}

/** A time as seconds since 1970, as RFC 3339 says it, or as `az` does: local time without a zone. */
function timeFrom(value: unknown): number | undefined {
	const seconds = typeof value === 'number' ? value : /^\d+$/.test(String(value)) ? Number(value) : undefined;
	if (seconds !== undefined) return seconds * 1000;
	const time = typeof value === 'string' ? Date.parse(value.replace(/(\.\d{3})\d+/, '$1')) : Number.NaN;
	return Number.isNaN(time) ? undefined : time;
}

function expiry(expiresAt: number | undefined): {expiresAt?: number} {
	return expiresAt === undefined ? {} : {expiresAt};
}

function notExpired<Credential extends {readonly expiresAt?: number | undefined}>(
	credential: Credential,
): Credential {
	if (credential.expiresAt !== undefined && credential.expiresAt <= Date.now()) {
		throw new UnreadableOutput(
			`printed a credential that expired on ${new Date(credential.expiresAt).toISOString()}`,
			"Have it get a new one, and check this machine's clock",
		);
	}
	return credential;
}
