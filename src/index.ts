/** The public face of gatepass. Importing it loads neither got nor any strategy. */
import 'reflect-metadata';

export type {ConfigurationInput} from './config/schema.ts';
export * from './errors.ts';
export {
	type Authorization,
	type AuthorizeOptions,
	createGatepass,
	type Gatepass,
	type GatepassSettings,
	type RuleStatus,
} from './gatepass.ts';
export type {Candidate, Explanation} from './host-rules/explain.ts';
export type {
	ApplicationState,
	CertificateApplication,
	Issuer,
	Revocation,
	RevocationReason,
	Submission,
} from './issuers/issuer.ts';
export type {EventName, EventPayloads} from './observability/events.ts';
export type {Logger} from './observability/logger.ts';
export * from './strategy/index.ts';
export type {GatepassContext} from './transports/got/context.ts';
