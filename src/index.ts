/** The public face of gatepass. Importing it loads neither got nor any strategy. */
import 'reflect-metadata';

export type {ConfigurationInput} from './config/schema.ts';
export * from './errors.ts';
export {
	type Authorization,
	createGatepass,
	type Gatepass,
	type GatepassSettings,
	type RuleStatus,
} from './gatepass.ts';
export type {Candidate, Explanation} from './host-rules/explain.ts';
export * from './strategy.ts';
export type {GatepassContext} from './transports/got.ts';
