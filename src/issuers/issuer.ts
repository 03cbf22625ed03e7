/** What gatepass asks of a certificate authority that issues certificates for robots. */

/** A certificate request that is to be handed in. */
export interface CertificateApplication {
	/** The certificate request (PKCS#10, RFC 2986) in PEM. */
	readonly request: string;
	/** The subject that it asks for, as RFC 2253 writes it. */
	readonly subject: string;
	/** The service account that the robot runs as. */
	readonly serviceAccount: string;
	/** Whether a certificate of the same subject is in use, which this one is to succeed. */
	readonly isRenewal: boolean;
}

/** What came of handing a request in. */
export interface Submission {
	/** What the authority knows the request by, such as an order number; absent where a person hands it in. */
	readonly reference?: string;
	/** What a person has still to do, step by step. */
	readonly instructions?: readonly string[];
}

/** How a request stands. `by-hand`: only a person can tell. */
export interface ApplicationState {
	readonly state: 'waiting' | 'issued' | 'refused' | 'by-hand';
	/** A sentence for people: why it was refused, who still has to agree. */
	readonly detail?: string;
}

/** Why a certificate is revoked, of the reasons of RFC 5280 section 5.3.1. */
export type RevocationReason =
	| 'unspecified'
	| 'keyCompromise'
	| 'affiliationChanged'
	| 'superseded'
	| 'cessationOfOperation';

/** What came of asking for a revocation. */
export interface Revocation {
	/** What a person has still to do, step by step; absent where the certificate is revoked. */
	readonly instructions?: readonly string[];
}

/**
 * Issues and revokes certificates. The command line takes one from a module whose default export it is
 * (`gatepass cert request --authority ./our-authority.js`); any of its methods may throw, and the message is shown.
 *
 * @example
 * ```ts
 * const authority: Issuer = {
 * 	async request({request}) {
 * 		const answer = await fetch('https://ca.example.org/orders', {method: 'POST', body: request});
 * 		return {reference: await answer.text()};
 * 	},
 * 	async poll(reference) {
 * 		const answer = await fetch(`https://ca.example.org/orders/${reference}`);
 * 		return {state: answer.ok ? 'issued' : 'waiting'};
 * 	},
 * 	async collect(reference) {
 * 		const answer = await fetch(`https://ca.example.org/orders/${reference}/certificate`);
 * 		return Buffer.from(await answer.arrayBuffer());
 * 	},
 * 	async revoke(certificate, reason) {
 * 		await fetch(`https://ca.example.org/revocations?reason=${reason}`, {method: 'POST', body: certificate});
 * 		return {};
 * 	},
 * };
 * export default authority;
 * ```
 */
export interface Issuer {
	/** Hand a request in. Where this fails, it is handed in again: the same request may arrive twice. */
	request(application: CertificateApplication): Promise<Submission>;
	/** Ask how a request stands. */
	poll(reference: string): Promise<ApplicationState>;
	/** The issued certificate, with its chain where there is one: PEM, DER or PKCS#7. */
	collect(reference: string): Promise<Buffer>;
	/** Have a certificate (PEM) revoked. */
	revoke(certificate: string, reason: RevocationReason): Promise<Revocation>;
}
