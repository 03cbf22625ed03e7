/** Does the authorization server of each rule issue a token? Asks for one, as a request would. */
import type {LoadedConfiguration} from '../config/load.ts';
import {diagnostic} from '../diagnostics/diagnostic.ts';
import {GatepassError} from '../errors.ts';
import type {Gatepass} from '../gatepass.ts';
import type {HostRule} from '../host-rules/host-rule.ts';
import type {Pattern} from '../host-rules/pattern.ts';
import {definitionOf} from '../strategy/index.ts';
import {type Finding, ok, told} from './finding.ts';

/** One token request for each rule whose strategy has endpoints, all at once. */
export async function checkTokens(gatepass: Gatepass, loaded: LoadedConfiguration): Promise<Finding[]> {
	const rules = loaded.configuration.hostRules.filter(({strategy, options}) => {
		const definition = definitionOf(loaded.strategyOf(strategy));
		return (definition?.endpoints?.(options) ?? []).length > 0;
	});
	return (await Promise.all(rules.map(async rule => askFor(rule, gatepass)))).flat();
}

async function askFor(rule: HostRule, gatepass: Gatepass): Promise<Finding[]> {
	const method = rule.methods?.[0] ?? 'GET';
	// A more specific rule may cover what this one names.
	const url = rule.patterns
		.map(urlWithin)
		.find(text => gatepass.explain(text, {method}).rule?.source === rule.source);
	if (url === undefined) return [];
	const subject = `${rule.patterns[0]?.text} (${rule.strategy})`;
	try {
		await gatepass.authorize(url, {method, fresh: true});
		return [ok('token', `${subject}: a token was issued`, rule.source)];
	} catch (error) {
		// What a strategy of the user's throws may say anything.
		const unknown = {code: 'strategy-broken', what: 'Its strategy failed', hint: 'Look into it'} as const;
		const diagnostics = error instanceof GatepassError ? error.diagnostics : [diagnostic(unknown)];
		return diagnostics.map(found => told('token', found, {subject, where: rule.source}));
	}
}

/** Some URL that the pattern matches. Nothing is sent to it. */
function urlWithin({scheme, kind, host, port, path}: Pattern): string {
	const name = kind === 'exact' ? host : `gatepass-doctor.${kind === 'any' ? 'invalid' : host}`;
	return `${scheme}://${name}${port === '' || port === '*' ? '' : `:${port}`}${path}`;
}
