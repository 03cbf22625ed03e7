/** The options of `sso-client-credentials`. */
import {z} from 'zod';

const server = z.string().refine(value => URL.parse(`https://${value}`)?.host === value.toLowerCase(), {
	error: 'it is no host, such as auth.cern.ch',
});

const realm = z.string().regex(/^[\w.~-]+$/, 'it is no realm name, such as cern');

export const ssoOptions = z
	.strictObject({
		clientId: z.string().min(1).optional().describe('Default: the variable SSO_CLIENT_ID'),
		clientSecret: z.string().min(1).optional().describe('Default: the variable SSO_CLIENT_SECRET'),
		audience: z.string().min(1).optional().describe('The application that the token is for'),
		scope: z.string().min(1).optional().describe('Scopes, separated by spaces'),
		tokenEndpoint: z.url({error: 'it is no URL'}).optional().describe('The token endpoint'),
		server: server.optional().describe('A Keycloak server, instead of tokenEndpoint. Default: auth.cern.ch'),
		realm: realm.optional().describe('The realm on that server. Default: cern'),
		clientAuthentication: z
			.enum(['client_secret_basic', 'client_secret_post'])
			.optional()
			.describe(
				'How the client shows its secret. Default: client_secret_basic with tokenEndpoint, else client_secret_post',
			),
	})
	.refine(
		({tokenEndpoint, server, realm}) => tokenEndpoint === undefined || (server ?? realm) === undefined,
		{
			error: "'tokenEndpoint' stands beside 'server' or 'realm'; take one of them out",
		},
	);

/** The token endpoint: the one that is named, or that of a realm on CERN's kind of Keycloak server. */
export function tokenEndpointOf({
	tokenEndpoint,
	server = 'auth.cern.ch',
	realm = 'cern',
}: Pick<z.output<typeof ssoOptions>, 'tokenEndpoint' | 'server' | 'realm'>): string {
	return tokenEndpoint ?? `https://${server}/auth/realms/${realm}/api-access/token`;
}
