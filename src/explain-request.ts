/** `gatepass.explain`: which rule a request would use, and what there is to say about it. Sends nothing, and loads nothing that could. */
import type {Configuration} from './config/configuration.ts';
import type {Composition} from './container.ts';
import type {BoundRule} from './hop/router.ts';
import {type Explanation, explain} from './host-rules/explain.ts';

/** What is asked of the services. */
type Known = Pick<Composition, 'matcher' | 'router' | 'ways'>;

export interface ExplainOptions {
	/** Default: `GET`. */
	readonly method?: string;
	/** Whether variables and files of secrets may be missing. */
	readonly withoutSecrets?: boolean;
}

/** @throws {TypeError} where `url` is no absolute URL. */
export function explainRequest(
	{matcher, router, ways}: Known,
	{hostRules, strict}: Configuration,
	url: string | URL,
	{method = 'GET', withoutSecrets = false}: ExplainOptions = {},
): Explanation {
	const target = parseUrl(url);
	const verb = method.toUpperCase();
	const inUse = router.ruleFor(target, verb);
	const trust = router.trustFor(target)?.source;
	const proxy = router.staysHere(inUse, target) ? undefined : ways.for(inUse?.rule).proxyFor(target);
	const notes = [
		...(inUse?.rule.notes ?? []),
		...explainStrategy(inUse, withoutSecrets),
		...(trust?.startsWith('bundle:')
			? [`The CA certificates of ${trust} are trusted besides the system's`]
			: []),
		...(proxy === undefined ? [] : [`Goes through the proxy ${proxy.url.origin} (${proxy.source})`]),
	];
	const explanation = explain(hostRules, matcher, target, verb);
	const isRefused = inUse === undefined && strict;
	return {...explanation, ...(isRefused && {refused: true}), ...(notes.length > 0 && {notes})};
}

/** What has no secret may be no strategy that could be built. */
function explainStrategy(rule: BoundRule | undefined, withoutSecrets: boolean): readonly string[] {
	try {
		return rule?.strategy.explain?.() ?? [];
	} catch (error) {
		if (!withoutSecrets) throw error;
		return [];
	}
}

/** @throws {TypeError} for what is no absolute URL. */
export function parseUrl(url: string | URL): URL {
	const parsed = URL.parse(String(url));
	if (parsed === null)
		throw new TypeError('This is no URL. Give an absolute one, such as https://api.example.org/');
	return parsed;
}
