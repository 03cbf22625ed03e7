/** A certificate authority for robots that lives in the process: for tests of what asks one. */
import {X509Certificate} from 'node:crypto';
import type {ApplicationState, CertificateApplication, Issuer, RevocationReason} from '../issuers/issuer.ts';
import type {SigningSettings, TestAuthority} from './authority.ts';

/** How a local authority treats requests. */
export interface LocalAuthoritySettings {
	/** Whether each request waits until somebody agrees. Default: `false`. */
	readonly waitForApproval?: boolean;
	/** What stands before `CN=Robot: …` in the subjects it gives, as RFC 2253 writes it: `OU=Users,DC=example`. */
	readonly base?: string;
}

/** Issues certificates in milliseconds, and remembers what it was asked. */
export interface LocalAuthority extends Issuer {
	/** What was handed in, by its reference. */
	readonly applications: ReadonlyMap<string, CertificateApplication>;
	/** Serial numbers of what was revoked, with the reason. */
	readonly revoked: ReadonlyMap<string, RevocationReason>;
	/** Issue what waits; `settings` say how its certificate is to differ from the usual one. */
	approve(reference: string, settings?: SigningSettings): void;
	/** Refuse what waits. */
	refuse(reference: string, reason: string): void;
}

/** IGTF's policy of certificates for robots. */
const robotPolicy = '1.2.840.113612.5.2.3.3.1';

/** An authority whose certificates are signed by `authority`. */
export function createLocalAuthority(
	authority: TestAuthority,
	{waitForApproval = false, base}: LocalAuthoritySettings = {},
): LocalAuthority {
	const applications = new Map<string, CertificateApplication>();
	const approved = new Map<string, SigningSettings>();
	const refused = new Map<string, string>();
	const issued = new Map<string, Promise<string>>();
	const revoked = new Map<string, RevocationReason>();

	const sign = (reference: string, settings: SigningSettings): Promise<string> => {
		const {request, subject, isRenewal} = known(reference);
		const name = base === undefined || isRenewal ? subject : `${subject},${base}`;
		return authority.sign(request, {subject: name, policies: [robotPolicy], ...settings});
	};
	const known = (reference: string): CertificateApplication => {
		const application = applications.get(reference);
		if (application === undefined) throw new Error(`There is no request ${reference}`);
		return application;
	};

	return {
		applications,
		revoked,
		async request(application) {
			const reference = `order-${applications.size + 1}`;
			applications.set(reference, application);
			if (!waitForApproval) approved.set(reference, {});
			return {reference};
		},
		async poll(reference): Promise<ApplicationState> {
			known(reference);
			const detail = refused.get(reference);
			if (detail !== undefined) return {state: 'refused', detail};
			return {state: approved.has(reference) ? 'issued' : 'waiting'};
		},
		async collect(reference) {
			known(reference);
			const settings = approved.get(reference);
			if (settings === undefined) throw new Error(`The request ${reference} waits for approval`);
			// However often it is fetched, it is one certificate.
			const certificate = issued.get(reference) ?? sign(reference, settings);
			issued.set(reference, certificate);
			return Buffer.from(await certificate);
		},
		async revoke(certificate, reason) {
			revoked.set(new X509Certificate(certificate).serialNumber, reason);
			return {};
		},
		approve(reference, settings = {}) {
			known(reference);
			approved.set(reference, settings);
		},
		refuse(reference, reason) {
			known(reference);
			refused.set(reference, reason);
		},
	};
}
