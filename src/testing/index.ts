/** `gatepass/testing`: for users' own tests of strategies and configurations. Servers listen on 127.0.0.1 only. */
import 'reflect-metadata';

export {
	type CertificateFiles,
	createTestAuthority,
	type SigningSettings,
	type TestAuthority,
} from './authority.ts';
export {type ConformanceSettings, conformance} from './conformance.ts';
export {createLocalAuthority, type LocalAuthority, type LocalAuthoritySettings} from './local-authority.ts';
export {type MtlsServer, startMtlsServer} from './mtls-server.ts';
export {
	type NegotiateServer,
	type NegotiateServerSettings,
	startNegotiateServer,
} from './negotiate-server.ts';
export type {RecordedRequest, TestServer} from './server.ts';
export {startTokenServer, type TokenServer, type TokenServerSettings} from './token-server.ts';
