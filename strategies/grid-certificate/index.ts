/** `grid-certificate`: shows a client certificate (RFC 8446 section 4.4.2). */
import {z} from 'zod';
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialStatus,
	Identities,
	type IdentitySource,
	inject,
	StrategyOptions,
} from '../../src/strategy.ts';

/** The options of `grid-certificate`. Without any, the certificate is searched for. */
export const gridCertificateOptions = z
	.strictObject({
		certificate: z.string().min(1).optional().describe('PEM file of the certificate and its chain'),
		key: z.string().min(1).optional().describe('PEM file of the private key'),
		passphrase: z.string().optional().describe('What the private key is encrypted with'),
		directory: z.string().min(1).optional().describe('A folder that holds usercert.pem and userkey.pem'),
	})
	.refine(({certificate, key}) => (certificate === undefined) === (key === undefined), {
		error: "'certificate' and 'key' belong together; one of them is missing",
	})
	.refine(({certificate, directory}) => certificate === undefined || directory === undefined, {
		error: "'certificate' and 'directory' name two places; take one of them out",
	});

/** Shows the identity on the connection; there is nothing to add to the request itself. */
@authStrategy({name: 'grid-certificate', options: gridCertificateOptions})
export class GridCertificateStrategy implements AuthStrategy {
	readonly #source: IdentitySource;
	readonly #identities: Identities;

	constructor(@inject(StrategyOptions) options: IdentitySource, @inject(Identities) identities: Identities) {
		this.#source = options;
		this.#identities = identities;
	}

	async *authenticate(request: AuthRequest): Conversation {
		request.identity = await this.#identities.load(this.#source);
		yield;
	}

	async status(): Promise<CredentialStatus> {
		const {subject, files, notAfter} = await this.#identities.load(this.#source);
		return {available: true, detail: `${subject} from ${files.certificate}`, expiresAt: notAfter};
	}
}
