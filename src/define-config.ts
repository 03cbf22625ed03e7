/** `defineConfig`: a configuration in a program, whose options are checked by the editor and the compiler. */
import type {z} from 'zod';
import type {chainOptions} from '../strategies/chain/index.ts';
import type {digestOptions} from '../strategies/digest/options.ts';
import type {gridCertificateOptions} from '../strategies/grid-certificate/options.ts';
import type {kerberosOptions} from '../strategies/kerberos/options.ts';
import type {ssoOptions} from '../strategies/sso-client-credentials/options.ts';
import type {tokenExchangeOptions} from '../strategies/sso-token-exchange/options.ts';
import type {staticTokenOptions} from '../strategies/static-token/options.ts';
import type {wlcgTokenOptions} from '../strategies/wlcg-token/index.ts';
import type {ConfigurationInput} from './config/schema.ts';

/**
 * The options of each strategy, by its name, as they are written. A strategy of one's own is added by declaring it:
 *
 * @example
 * declare module 'gatepass' {
 * 	interface OptionsByStrategy {
 * 		'api-key': {header?: string; key: string};
 * 	}
 * }
 */
export interface OptionsByStrategy {
	chain: z.input<typeof chainOptions>;
	digest: z.input<typeof digestOptions>;
	'grid-certificate': z.input<typeof gridCertificateOptions>;
	kerberos: z.input<typeof kerberosOptions>;
	'kerberos-stub': z.input<typeof kerberosOptions>;
	none: Record<string, never>;
	'sso-client-credentials': z.input<typeof ssoOptions>;
	'sso-token-exchange': z.input<typeof tokenExchangeOptions>;
	'static-token': z.input<typeof staticTokenOptions>;
	'wlcg-token': z.input<typeof wlcgTokenOptions>;
}

type HostRuleInput = NonNullable<ConfigurationInput['hostRules']>[number];

/** A host rule whose options are those of its strategy; of one that was not declared, any. */
export type TypedRule<Name extends string> = Omit<HostRuleInput, 'strategy' | 'options'> & {
	strategy: Name;
	options?: Name extends keyof OptionsByStrategy ? OptionsByStrategy[Name] : Record<string, unknown>;
};

/** A configuration with one rule for each of `Names`. */
export type TypedConfiguration<Names extends readonly string[]> = Omit<ConfigurationInput, 'hostRules'> & {
	hostRules?: readonly [...{[Index in keyof Names]: TypedRule<Names[Index]>}];
};

/**
 * The configuration as it is, with options that the compiler holds against the rule's strategy. For
 * `gatepass.config.ts` and `.js`, and for `createGatepass({config})`.
 *
 * @example
 * export default defineConfig({
 * 	hostRules: [{match: 'https://api.example.org', strategy: 'static-token', options: {token: '${API_TOKEN}'}}],
 * });
 */
export function defineConfig<const Names extends readonly string[]>(
	configuration: TypedConfiguration<Names>,
): ConfigurationInput {
	return configuration as ConfigurationInput;
}
