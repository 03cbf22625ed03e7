/** `http-signature`: requests that are signed by RFC 9421, with a digest of the body by RFC 9530. */
import {hash, type KeyObject} from 'node:crypto';
import {StrategyError} from '../../src/errors.ts';
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialStatus,
	inject,
	RuleInfo,
	StrategyOptions,
} from '../../src/strategy/index.ts';
import {ServerClocks} from '../signing/server-clocks.ts';
import {type Algorithm, algorithmsOf, signBase} from './algorithms.ts';
import {
	type Component,
	type Message,
	MissingComponent,
	parseComponent,
	signatureBase,
	signatureParameters,
} from './components.ts';
import {keyOf, type SignatureOptions, signatureOptions} from './options.ts';

const usual = ['@method', '@authority', '@path', '@query'].map(name => parseComponent(name) as Component);
const ofBody = ['content-digest', 'content-type'].map(name => parseComponent(name) as Component);
/** What a request without a body does not have, whatever the rule would sign of one with a body. */
const bodyFields = new Set(['content-digest', 'content-type', 'content-length', 'content-encoding']);

/**
 * Signs each leg by itself: what the rule names of it, the time, and the bytes of the body by their digest. Where the
 * server's clock differs from this machine's, a refused request is signed once more by the server's.
 *
 * Fails with a `StrategyError` where a request lacks what is to be signed.
 */
@authStrategy({name: 'http-signature', options: signatureOptions})
export class HttpSignatureStrategy implements AuthStrategy {
	readonly requiresRequestBody: boolean;
	readonly #options: SignatureOptions;
	readonly #rule: RuleInfo;
	readonly #key: KeyObject;
	readonly #algorithm: Algorithm;
	readonly #components: readonly Component[] | undefined;
	readonly #clocks = new ServerClocks();

	constructor(@inject(StrategyOptions) options: SignatureOptions, @inject(RuleInfo) rule: RuleInfo) {
		this.#options = options;
		this.#rule = rule;
		this.#key = keyOf(options);
		this.#algorithm =
			options.algorithm ??
			(options.secret === undefined ? (algorithmsOf(this.#key)[0] as Algorithm) : 'hmac-sha256');
		this.#components = options.components?.map(written => parseComponent(written) as Component);
		const isDigestSigned =
			this.#components === undefined || this.#components.some(({name}) => name === 'content-digest');
		const isDigestWanted = options.digest === undefined ? isDigestSigned : options.digest !== 'none';
		const isLengthSigned = this.#components?.some(({name}) => name === 'content-length') === true;
		this.requiresRequestBody = isDigestWanted || isLengthSigned;
	}

	async *authenticate(request: AuthRequest): Conversation {
		const {origin} = request.url;
		const time = this.#clocks.now(origin);
		this.#sign(request, time);
		const response = yield;
		if (!request.replayable || !this.#clocks.learn(origin, response, time)) return;
		this.#sign(request, this.#clocks.now(origin));
		yield;
	}

	async status(): Promise<CredentialStatus> {
		return {
			available: true,
			detail: `requests are signed with the key ${this.#options.keyId} by ${this.#algorithm}`,
		};
	}

	async forget(): Promise<void> {
		this.#clocks.clear();
	}

	#sign(request: AuthRequest, time: number): void {
		const {headers, body} = request;
		const components = this.#componentsOf(request);
		const isSigned = (name: string): boolean => components.some(component => component.name === name);
		const digest = this.#options.digest ?? 'sha-256';
		if (
			digest !== 'none' &&
			(isSigned('content-digest') || (body !== undefined && this.requiresRequestBody))
		) {
			const bytes = body ?? new Uint8Array();
			headers.set('content-digest', `${digest}=:${hash(digest.replace('-', ''), bytes, 'base64')}:`);
		}
		if (isSigned('content-length')) headers.set('content-length', `${body?.byteLength ?? 0}`);
		if (isSigned('date')) headers.set('date', new Date(time).toUTCString());
		const parameters = signatureParameters(components, Math.floor(time / 1000), this.#options.keyId);
		const signature = signBase(this.#base(request, components, parameters), this.#algorithm, this.#key);
		headers.set('signature-input', `${this.#options.label}=${parameters}`);
		headers.set('signature', `${this.#options.label}=:${signature.toString('base64')}:`);
	}

	#componentsOf({headers, body}: AuthRequest): readonly Component[] {
		const own = this.#components;
		if (own === undefined) {
			if (body === undefined) return usual;
			return [...usual, ...ofBody.filter(({name}) => name === 'content-digest' || headers.has(name))];
		}
		const isBodiless = body === undefined && this.requiresRequestBody;
		return isBodiless ? own.filter(({name}) => !bodyFields.has(name) || headers.has(name)) : own;
	}

	#base(request: AuthRequest, components: readonly Component[], parameters: string): string {
		const {method, url, headers, requestTarget = url.pathname + url.search} = request;
		const question = requestTarget.indexOf('?');
		const message: Message = {
			method,
			protocol: url.protocol,
			authority: headers.get('host') ?? url.host,
			path: question === -1 ? requestTarget : requestTarget.slice(0, question),
			search: question === -1 ? '' : requestTarget.slice(question),
			header: name => headers.get(name),
		};
		try {
			return signatureBase(message, components, parameters);
		} catch (error) {
			if (!(error instanceof MissingComponent)) throw error;
			const {match, source} = this.#rule;
			throw new StrategyError({
				code: 'signature-component-missing',
				what: `The request to ${url.origin} ${error.message}, which the rule for ${match} (${source}) is to sign`,
				hint: "Send it along, or take it out of 'components'",
			});
		}
	}
}
