/** CERN's certificate authority, which takes requests for robots through a web form only. */
import {GatepassError} from '../errors.ts';
import type {ApplicationState, CertificateApplication, Issuer, Revocation, Submission} from './issuer.ts';

const site = 'https://ca.cern.ch/ca/';

/** Tells a person what to do. */
export class ManualIssuer implements Issuer {
	async request({serviceAccount, isRenewal}: CertificateApplication): Promise<Submission> {
		return {
			instructions: [
				`Open ${site} and sign in as the service account ${serviceAccount}.`,
				"Choose 'New Grid Robot certificate', and hand in the certificate request below. Never hand in the key.",
				isRenewal
					? 'Leave the subject as it is: the servers know the robot by it.'
					: 'Note the subject that the certificate gets: the servers will know the robot by it.',
				'Download the certificate, with its chain where there is a choice.',
			],
		};
	}

	async poll(): Promise<ApplicationState> {
		return {state: 'by-hand', detail: `It was handed in by hand: ${site} shows how it stands`};
	}

	async collect(): Promise<Buffer> {
		throw new GatepassError({
			code: 'request-pending',
			what: 'The request was handed in by hand, so its certificate is to be fetched by hand too',
			hint: `Download it from ${site}, and name the file: 'gatepass cert install FILE'`,
		});
	}

	async revoke(): Promise<Revocation> {
		return {
			instructions: [
				`Open ${site} and sign in as the service account.`,
				"Choose 'My certificates', and revoke the one with the serial number below.",
			],
		};
	}
}
