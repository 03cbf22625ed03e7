/** `defineConfig`: what the compiler takes and refuses stands here as types; the whole file is compiled. */
import {expect, test} from 'vitest';
import {createGatepass, defineConfig} from '../src/index.ts';

declare module '../src/define-config.ts' {
	interface OptionsByStrategy {
		'made-up': {level: number};
	}
}

test('gives the configuration back, which loads', async () => {
	const configuration = {
		cache: {url: 'memory:'},
		hostRules: [
			{match: 'https://a.example.org', strategy: 'static-token', options: {token: 'abc'}},
			{match: ['https://b.example.org'], methods: ['GET'], strategy: 'none'},
		],
	} as const;
	const defined = defineConfig({
		cache: {url: 'memory:'},
		hostRules: [
			{match: 'https://a.example.org', strategy: 'static-token', options: {token: 'abc'}},
			{match: ['https://b.example.org'], methods: ['GET'], strategy: 'none'},
		],
	});
	expect(defined).toEqual(configuration);
	const gatepass = await createGatepass({config: defined});
	expect(gatepass.explain('https://a.example.org').rule?.strategy).toBe('static-token');
	await gatepass.close();
});

test('options are those of the strategy', () => {
	const match = 'https://a.example.org';
	const typed = [
		() => defineConfig({hostRules: [{match, strategy: 'kerberos', options: {delegate: true}}]}),
		() => defineConfig({hostRules: [{match, strategy: 'made-up', options: {level: 1}}]}),
		// What was not declared takes anything.
		() => defineConfig({hostRules: [{match, strategy: 'unheard-of', options: {anything: []}}]}),
		() => defineConfig({}),
		// @ts-expect-error: there is no such option.
		() => defineConfig({hostRules: [{match, strategy: 'static-token', options: {tokne: 'abc'}}]}),
		// @ts-expect-error: of another strategy.
		() => defineConfig({hostRules: [{match, strategy: 'grid-certificate', options: {clientId: 'a'}}]}),
		// @ts-expect-error: of another type.
		() => defineConfig({hostRules: [{match, strategy: 'digest', options: {username: 5, password: 'x'}}]}),
		() =>
			defineConfig({
				hostRules: [
					{match, strategy: 'none'},
					// @ts-expect-error: of another type, in the second rule.
					{match, strategy: 'made-up', options: {level: '1'}},
				],
			}),
		// @ts-expect-error: it takes none.
		() => defineConfig({hostRules: [{match, strategy: 'none', options: {token: 'x'}}]}),
		// @ts-expect-error: there is no such setting.
		() => defineConfig({hostRule: []}),
		// @ts-expect-error: a rule without 'match' is none.
		() => defineConfig({hostRules: [{strategy: 'none'}]}),
	];
	expect(typed).toHaveLength(11);
});
