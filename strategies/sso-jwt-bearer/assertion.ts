/** The assertion that a token is asked for by: from elsewhere, or made here for each request. */
import {randomUUID} from 'node:crypto';
import {CredentialUnavailableError} from '../../src/errors.ts';
import type {Environment, RuleInfo} from '../../src/strategy/index.ts';
import {claimsOf, doubtsAbout} from '../bearer/claims.ts';
import {openSource, type SourceServices, type TextSource} from '../bearer/source.ts';
import type {Grant} from '../sso/grant.ts';
import type {SsoOptions} from '../sso/options.ts';
import {readSigningKey, type SigningKey, signJwt} from '../sso/signing-key.ts';
import type {JwtBearerOptions, OwnAssertion} from './options.ts';

/** How a grant comes by its assertion, and what tells its tokens from those of others. */
export type AssertionPart = Pick<Grant, 'complete' | 'doubts' | 'distinguishing'>;

export interface Assertions {
	/** The same object as long as the assertion speaks for the same one. */
	part(): Promise<AssertionPart>;
	dispose(): void;
}

export function assertionsOf(options: JwtBearerOptions, services: SourceServices): Assertions {
	const {assertion, privateKey = '', keyId, algorithm, subject, claims} = options;
	if (assertion !== undefined && !(typeof assertion === 'object' && 'privateKey' in assertion)) {
		return handedOver(openSource(assertion, 'assertion', services));
	}
	const own: OwnAssertion = assertion ?? {privateKey, keyId, algorithm, subject, claims, lifetime: 300_000};
	const client = options.clientId ?? services.environment.SSO_CLIENT_ID;
	return madeHere(own, client, services.rule);
}

/** Read for each token request. Where that costs little, for each request, too: it may speak for somebody else by now. */
function handedOver(source: TextSource): Assertions {
	let last: string | undefined;
	let known: {readonly about: string; readonly part: AssertionPart} | undefined;
	const read = async (): Promise<string> => {
		last = await source.read();
		return last;
	};
	return {
		async part() {
			const about = source.isCheap ? subjectOf(await read()) : source.key;
			if (known?.about !== about) {
				const part: AssertionPart = {
					complete: async () => ({assertion: await read()}),
					doubts: reader => (last === undefined ? [] : doubtsAbout(last, source.place, reader)),
					distinguishing: {assertion: about},
				};
				known = {about, part};
			}
			return known.part;
		},
		dispose: () => source.dispose(),
	};
}

/** Claims that differ from one assertion to the next (RFC 7519 section 4.1, OpenID Connect Core section 2). */
const passing: ReadonlySet<string> = new Set(['exp', 'iat', 'nbf', 'jti', 'auth_time']);

/** All that an assertion says but for its times: whom it speaks for. What is no JWT is another one each time. */
function subjectOf(assertion: string): string {
	const claims = claimsOf(assertion);
	if (claims === undefined) return assertion;
	const lasting = Object.entries(claims).filter(([name]) => !passing.has(name));
	return JSON.stringify(lasting.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function madeHere(own: OwnAssertion, client: string | undefined, rule: RuleInfo): Assertions {
	const {keyId, subject, audience, lifetime, claims} = own;
	const issuer = own.issuer ?? client ?? subject;
	let key: SigningKey | undefined;
	const part: AssertionPart = {
		async complete(occasion) {
			key ??= readSigningKey(own, 'privateKey', rule);
			const {issuedAt} = occasion;
			const usual = {
				iss: issuer,
				sub: subject ?? issuer,
				aud: audience ?? occasion.audience,
				iat: issuedAt,
				exp: issuedAt + Math.ceil(lifetime / 1000),
				jti: randomUUID(),
			};
			return {assertion: signJwt(key, {...usual, ...claims}, keyId)};
		},
		distinguishing: {
			assertion: JSON.stringify([issuer, subject, audience, keyId, claims]),
		},
	};
	return {
		async part() {
			if (issuer === undefined) {
				throw new CredentialUnavailableError({
					code: 'secret-missing',
					what: `The rule for ${rule.match} (${rule.source}) does not say who vouches for the assertion, and the variable SSO_CLIENT_ID is not set`,
					hint: "Set 'clientId', or 'issuer' in 'assertion'",
				});
			}
			return part;
		},
		dispose: () => {},
	};
}

/** Options for the client alone: the grant may be enough, and the key may be for the assertion. */
export function clientOptions(options: JwtBearerOptions, environment: Environment): SsoOptions {
	const {clientAuthentication, clientAssertion, clientSecret, identity, privateKey} = options;
	const isKeyForAssertion = options.assertion === undefined && clientAuthentication !== 'private_key_jwt';
	const keys = isKeyForAssertion ? ['privateKey', 'keyId', 'algorithm'] : [];
	const others = new Set(['assertion', 'subject', 'claims', ...keys]);
	const client = Object.fromEntries(Object.entries(options).filter(([name]) => !others.has(name)));
	const proofs = [clientAuthentication, clientAssertion, clientSecret, identity];
	const provesItself =
		proofs.some(proof => proof !== undefined) ||
		(privateKey !== undefined && !isKeyForAssertion) ||
		Boolean(environment.SSO_CLIENT_SECRET);
	return provesItself ? client : {...client, clientAuthentication: 'none', isClientOptional: true};
}
