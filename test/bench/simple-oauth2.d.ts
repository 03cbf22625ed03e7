/** What the bench uses of simple-oauth2, which has no types of its own. */
declare module 'simple-oauth2' {
	interface AccessToken {
		readonly token: {readonly access_token: string};
		expired(expirationWindowSeconds?: number): boolean;
	}

	export class ClientCredentials {
		constructor(settings: {
			readonly client: {readonly id: string; readonly secret: string};
			readonly auth: {readonly tokenHost: string; readonly tokenPath: string};
		});
		getToken(parameters: Readonly<Record<string, string>>): Promise<AccessToken>;
	}
}
