/** A strategy that builds another one which its definition did not name, so that no check of a configuration saw it. */
import {expect, onTestFinished, test} from 'vitest';
import {
	type AuthStrategy,
	authStrategy,
	type Conversation,
	createGatepass,
	inject,
	Strategies,
	StrategyNotFoundError,
} from '../../src/index.ts';

@authStrategy({name: 'borrower'})
class BorrowerStrategy implements AuthStrategy {
	readonly #strategies: Strategies;

	constructor(@inject(Strategies) strategies: Strategies) {
		this.#strategies = strategies;
	}

	authenticate(request: Parameters<AuthStrategy['authenticate']>[0]): Conversation {
		return this.#strategies.build({strategy: 'nobodys'}).authenticate(request);
	}
}

test('an unknown one is told by name, with the rule and what to do', async () => {
	const gatepass = await createGatepass({
		env: {},
		strategies: [BorrowerStrategy],
		config: {cache: {url: 'memory:'}, hostRules: [{match: 'https://api.example.org', strategy: 'borrower'}]},
	});
	onTestFinished(() => gatepass.close());
	const failure = await gatepass.authorize('https://api.example.org').catch(error => error);
	expect(failure).toBeInstanceOf(StrategyNotFoundError);
	expect(failure.message).toMatch(/'borrower' \(.*hostRules\[0\].*\) asks for the strategy 'nobodys'/);
	expect(failure.message).toMatch(/Name it under 'nested'/);
});
