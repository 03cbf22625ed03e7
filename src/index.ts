/** The public face of gatepass. Importing it loads neither got nor any strategy. */
import 'reflect-metadata';

// Named here too, so that a library whose types are made of gatepass's can write them down where a package manager keeps
// the dependencies of dependencies out of sight.
export type {StandardSchemaV1} from '@standard-schema/spec';
export type {ExtractExtendOptions, Got, Request as GotRequest, Response as GotResponse} from 'got';
export type {InjectionToken} from 'tsyringe';
export type {RegisterOptions} from './certificates/accounts.ts';
export {AuthenticatorFactory, InstallerFactory} from './certificates/factories.ts';
export type {Certificates} from './certificates/lazy.ts';
export type {IssuedCertificate} from './certificates/manager.ts';
export type {ObtainOptions} from './certificates/ordering.ts';
export type {RenewalResult, RenewOptions} from './certificates/renewing.ts';
export type {LineageStatus} from './certificates/status.ts';
export type {ConfigurationInput} from './config/schema.ts';
export {
	defineConfig,
	type OptionsByStrategy,
	type TypedConfiguration,
	type TypedRule,
} from './define-config.ts';
export type {DiagnoseOptions} from './diagnose/diagnose.ts';
export type {Diagnosis, Stage, StageName} from './diagnose/stage.ts';
export type {DiagnosticCode} from './diagnostics/codes.ts';
export type {AnyDiagnosticCode, Diagnostic, Finding, Severity} from './diagnostics/diagnostic.ts';
export * from './errors.ts';
export {createGatepass} from './gatepass.ts';
export type {Authorization, AuthorizeOptions, Gatepass, GatepassSettings} from './gatepass-interface.ts';
export type {Candidate, Explanation} from './host-rules/explain.ts';
export type {Checkpoint} from './installers/checkpoints.ts';
export type {DeployedLineage, Enhancements, Installer} from './installers/installer.ts';
export type {Authenticator, ChallengeTask, CleanUp} from './issuers/acme/authenticators/authenticator.ts';
export type {Progress} from './issuers/acme/obtain.ts';
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
export type {RuleStatus} from './rule-status.ts';
export * from './strategy/index.ts';
export type {Flow, FlowLeg, FlowOptions, FlowResponse} from './transports/flow.ts';
export type {GatepassContext} from './transports/request-setting.ts';
export type {TlsMaterial} from './transports/tls-material.ts';
export type {AnyDispatcher, GatepassDispatcher} from './transports/undici/dispatcher.ts';
export type {GatepassFetch, GatepassRequestInit} from './transports/undici/fetch.ts';
