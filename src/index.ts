/** The public face of gatepass. Importing it loads neither got nor any strategy. */
import 'reflect-metadata';

export type {ConfigurationInput} from './config/schema.ts';
export * from './errors.ts';
export type {EventName, EventPayloads} from './events.ts';
export {
	type Authorization,
	type AuthorizeOptions,
	createGatepass,
	type Gatepass,
	type GatepassSettings,
	type RuleStatus,
} from './gatepass.ts';
export type {Candidate, Explanation} from './host-rules/explain.ts';
export type {Logger} from './logger.ts';
export type {
	ApplicationState,
	CertificateApplication,
	CertificateAuthority,
	Revocation,
	RevocationReason,
	Submission,
} from './robots/certificate-authority.ts';
export * from './strategy.ts';
export type {GatepassContext} from './transports/got.ts';
