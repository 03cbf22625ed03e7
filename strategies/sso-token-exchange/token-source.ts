/** Where the token comes from that is to be exchanged: a file, a variable, a function, another strategy. */
import {CredentialUnavailableError} from '../../src/errors.ts';
import type {AuthRequest, AuthStrategy, Strategies} from '../../src/strategy/index.ts';
import {bearerTokenOf} from '../bearer/nested-token.ts';
import {openSource, type SourceServices} from '../bearer/source.ts';
import type {TokenPlace} from './options.ts';

export interface TokenSourceServices extends SourceServices {
	readonly strategies: Strategies;
}

/** Gives a token that is to be exchanged. */
export interface TokenSource {
	/** The token for a request. `fresh`: a cache on the way is to be passed over. */
	read(request: AuthRequest, fresh: boolean): Promise<string>;
	/** The token, as far as it is known without asking a server or running code of the user's. */
	known(): Promise<string | undefined>;
	/** The strategy that shows it, if there is one. */
	readonly strategy?: AuthStrategy;
}

/** The source that is named by the option `option`. */
export function tokenSource(place: TokenPlace, option: string, services: TokenSourceServices): TokenSource {
	if (typeof place !== 'function' && 'rule' in place) {
		const {strategies, rule} = services;
		const strategy = strategies.build(place.rule);
		const source = remembering(async (request, fresh) => {
			const token = await bearerTokenOf(strategy, request, fresh);
			if (token !== undefined) return token;
			throw new CredentialUnavailableError({
				code: 'token-source-unusable',
				what: `The '${option}' of the rule for ${rule.match} (${rule.source}) comes from a strategy that shows no bearer token`,
				hint: 'Name another one',
			});
		});
		return {...source, strategy};
	}
	const source = openSource(place, option, services);
	const read = (): Promise<string> => source.read();
	return source.isCheap ? {read, known: read} : remembering(read);
}

/** A source that cannot be asked at any time: what it gave last is what is known. */
function remembering(read: TokenSource['read']): Pick<TokenSource, 'read' | 'known'> {
	let last: string | undefined;
	return {
		async read(request, fresh) {
			last = await read(request, fresh);
			return last;
		},
		known: async () => last,
	};
}
