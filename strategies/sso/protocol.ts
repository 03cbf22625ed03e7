/** What speaks OAuth 2, in one module that is loaded when a rule first asks an authorization server: it is most of the code. */
export * as oauth from 'oauth4webapi';
export {findAuthorizationServer} from './authorization-server.ts';
export {findClient} from './client-authentication.ts';
export {describeFailure} from './describe-failure.ts';
export {
	readToken,
	refusalAsSuch,
	refuseRedirect,
	withoutChallenge,
	withoutUnusedFields,
} from './token-response.ts';
