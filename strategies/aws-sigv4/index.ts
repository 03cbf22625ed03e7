/** `aws-sigv4`: requests that are signed by AWS's Signature Version 4. */
import {CredentialUnavailableError, StrategyError} from '../../src/errors.ts';
import {
	type AuthRequest,
	type AuthResponse,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialStatus,
	Environment,
	HttpClient,
	inject,
	Notices,
	RuleInfo,
	StrategyOptions,
} from '../../src/strategy/index.ts';
import {ServerClocks} from '../signing/server-clocks.ts';
import {escaped, keepsPath} from './canonical.ts';
import {encodeChunks} from './chunks.ts';
import {KeySource} from './key-source.ts';
import {type Sigv4Options, sigv4Options} from './options.ts';
import {type Payload, streamedPayload} from './payload.ts';
import {algorithm, payloadHashOf, Signer, type SigningKeys, timestampOf, unsignedPayload} from './signing.ts';

/** Seconds for which a signature in a URL holds: for this request, and not for whoever finds it in a log later. */
const urlLifetime = 300;
/** Of the headers that the caller sets; others are rewritten by proxies, or by the client itself. */
const signedByName = new Set(['content-type', 'content-md5']);
const none = {};

interface Regional {
	readonly region: string;
	readonly signer: Signer;
}

/**
 * Signs each leg by itself, with the time, what is sent of path and query, `Host`, `Content-Type`, `X-Amz-…` and the bytes of
 * the body. Where the server's clock differs from this machine's, a refused request is signed once more by the server's.
 * Where the server says that the key has expired, another is asked for once.
 *
 * Fails with a `CredentialUnavailableError` where there is no key.
 */
@authStrategy({name: 'aws-sigv4', options: sigv4Options})
export class AwsSigv4Strategy implements AuthStrategy {
	readonly requiresRequestBody: boolean;
	readonly #isStreamed: boolean;
	readonly #options: Sigv4Options;
	readonly #keys: KeySource;
	readonly #rule: RuleInfo;
	#signer: Regional | undefined;
	readonly #clocks = new ServerClocks();

	constructor(
		@inject(StrategyOptions) options: Sigv4Options,
		@inject(Environment) environment: Environment,
		@inject(HttpClient) http: HttpClient,
		@inject(Notices) notices: Notices,
		@inject(RuleInfo) rule: RuleInfo,
	) {
		this.#options = options;
		this.#rule = rule;
		this.#keys = new KeySource(options, {environment, http, notices, rule});
		// S3 leaves the payload out of a signature in a URL.
		const isLeftOut = options.form === 'query' && keepsPath(options.service);
		this.requiresRequestBody = options.payload === 'signed' && !isLeftOut;
		this.#isStreamed = options.payload.startsWith('streaming');
	}

	async *authenticate(request: AuthRequest): Conversation {
		// As it is sent: what is added to it is put behind.
		const query = request.url.search.slice(1);
		// Both may be in the same files, which are then looked at once. What is wrong with the key is told first.
		const known = this.#regional();
		if (known instanceof Promise) known.catch(() => {});
		let keys = await this.#keys.get(request.fresh);
		const {signer} = known instanceof Promise ? await known : known;
		const payload = this.#isStreamed
			? await streamedPayload(request, this.#options)
			: this.#payloadOf(request);
		for (let isLast = false; ; isLast = true) {
			const time = this.#clocks.now(request.url.origin);
			if (this.#options.form === 'query') this.#signUrl(request, signer, query, keys, time, payload.hash);
			else this.#signHeaders(request, signer, query, keys, time, payload);
			const response = yield;
			if (isLast || !request.replayable) return;
			if (this.#clocks.learn(request.url.origin, response, time)) continue;
			if (!saysExpired(response) || !(await this.#keys.drop(keys))) return;
			const next = await this.#keys.get();
			if (next.secretAccessKey === keys.secretAccessKey) return;
			keys = next;
		}
	}

	async status(): Promise<CredentialStatus> {
		const {service} = this.#options;
		const {place, expiresAt} = await this.#keys.describe();
		const {region} = await this.#regional();
		const detail = `requests to ${service} in ${region} are signed with ${place}`;
		return {available: true, detail, ...(expiresAt !== undefined && {expiresAt})};
	}

	async forget(): Promise<void> {
		this.#keys.forget();
		this.#clocks.clear();
	}

	dispose(): void {
		this.#keys.dispose();
	}

	#payloadOf({body}: AuthRequest): Payload {
		return {hash: this.requiresRequestBody ? payloadHashOf(body) : unsignedPayload, headers: none};
	}

	#signHeaders(
		request: AuthRequest,
		signer: Signer,
		query: string,
		keys: SigningKeys,
		time: number,
		{hash: payloadHash, headers: added, chunks}: Payload,
	): void {
		const {method, url, headers} = request;
		const timestamp = timestampOf(time);
		for (const name in added) headers.set(name, added[name] as string);
		headers.set('x-amz-date', timestamp);
		headers.set('x-amz-content-sha256', payloadHash);
		if (keys.sessionToken !== undefined) headers.set('x-amz-security-token', keys.sessionToken);
		else if (headers.has('x-amz-security-token')) headers.delete('x-amz-security-token');
		const signed = signedHeaders(headers, url, true);
		const input = {method, path: url.pathname, query, headers: signed, payloadHash};
		const {signature, signedHeaders: names} = signer.sign(input, timestamp, keys);
		const credential = `${keys.accessKeyId}/${signer.scopeOf(timestamp)}`;
		headers.set(
			'authorization',
			`${algorithm} Credential=${credential}, SignedHeaders=${names}, Signature=${signature}`,
		);
		if (chunks === undefined) return;
		const {isSigned, ...settings} = chunks;
		request.encodeBody?.(body => {
			const chunkSigner = isSigned ? signer.chunkSigner(signature, timestamp, keys) : undefined;
			return encodeChunks(body, {...settings, signer: chunkSigner});
		});
	}

	#signUrl(
		{method, url, headers}: AuthRequest,
		signer: Signer,
		query: string,
		keys: SigningKeys,
		time: number,
		payloadHash: string,
	): void {
		if (/(?:^|&)X-Amz-(?:Algorithm|Signature)=/i.test(query)) {
			throw new StrategyError({
				code: 'signature-already-there',
				what: `The URL of this request has a signature of its own, and the rule for ${this.#rule.match} (${this.#rule.source}) would add another`,
				hint: 'Send it without authentication, or leave the signature to the rule',
			});
		}
		const timestamp = timestampOf(time);
		headers.delete('authorization');
		if (headers.has('x-amz-security-token')) headers.delete('x-amz-security-token');
		const signed = signedHeaders(headers, url, false);
		const names = signed.map(([name]) => name).sort();
		const added: Record<string, string> = {
			'X-Amz-Algorithm': algorithm,
			'X-Amz-Credential': `${keys.accessKeyId}/${signer.scopeOf(timestamp)}`,
			'X-Amz-Date': timestamp,
			'X-Amz-Expires': String(urlLifetime),
			...(keys.sessionToken !== undefined && {'X-Amz-Security-Token': keys.sessionToken}),
			'X-Amz-SignedHeaders': names.join(';'),
		};
		const own = Object.entries(added).map(([name, value]) => `${name}=${escaped(value)}`);
		const whole = [...(query === '' ? [] : [query]), ...own].join('&');
		const input = {method, path: url.pathname, query: whole, headers: signed, payloadHash};
		added['X-Amz-Signature'] = signer.sign(input, timestamp, keys).signature;
		for (const [name, value] of Object.entries(added)) url.searchParams.set(name, value);
	}

	#regional(): Regional | Promise<Regional> {
		const {region} = this.#options;
		return region === undefined ? this.#keys.region().then(named => this.#in(named)) : this.#in(region);
	}

	#in(region: string | undefined): Regional {
		if (region === undefined) {
			throw new CredentialUnavailableError({
				code: 'signing-region-missing',
				what: `No region is named for ${this.#rule.match} (${this.#rule.source})`,
				hint: "Set 'region', or the variable AWS_REGION",
			});
		}
		if (this.#signer?.region !== region) {
			this.#signer = {region, signer: new Signer(this.#options.service, region)};
		}
		return this.#signer;
	}
}

/** `isWhole`: what may be signed besides what must be. */
function signedHeaders(headers: AuthRequest['headers'], url: URL, isWhole: boolean): [string, string][] {
	const signed: [string, string][] = [['host', headers.get('host') ?? url.host]];
	for (const name of headers.names()) {
		if (!name.startsWith('x-amz-') && !(isWhole && signedByName.has(name))) continue;
		const value = headers.get(name) as string;
		// One line, where the caller gave several: they would be joined in another way.
		if (value.includes(',')) headers.set(name, value);
		signed.push([name, value]);
	}
	return signed;
}

/** Services other than S3 say it in a header; S3 says it in the body, which is the caller's. */
function saysExpired({status, headers}: AuthResponse): boolean {
	return status >= 400 && /expiredtoken/i.test(String(headers['x-amzn-errortype'] ?? ''));
}
