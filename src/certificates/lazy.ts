/** The certificate manager of a gatepass, loaded at its first use: most programs never need it. */
import type {CertificateManager} from './manager.ts';

/** What users have: all that the manager can do. */
export type Certificates = Pick<CertificateManager, keyof CertificateManager>;

export function lazyCertificates(load: () => Promise<CertificateManager>): Certificates {
	let loaded: Promise<CertificateManager> | undefined;
	const manager = (): Promise<CertificateManager> => {
		loaded ??= load();
		return loaded;
	};
	return {
		register: async options => (await manager()).register(options),
		profiles: async server => (await manager()).profiles(server),
		obtain: async (domains, options) => (await manager()).obtain(domains, options),
		obtainFromCsr: async (csr, options) => (await manager()).obtainFromCsr(csr, options),
		enroll: async (domains, name, options) => (await manager()).enroll(domains, name, options),
		adopt: async (folder, options) => (await manager()).adopt(folder, options),
		renew: async options => (await manager()).renew(options),
		revoke: async (name, settings) => (await manager()).revoke(name, settings),
		revokeCertificate: async (certificate, settings) =>
			(await manager()).revokeCertificate(certificate, settings),
		deploy: async (name, installer) => (await manager()).deploy(name, installer),
		enhance: async (domains, enhancements, installer) =>
			(await manager()).enhance(domains, enhancements, installer),
		rollback: async count => (await manager()).rollback(count),
		history: async () => (await manager()).history(),
		list: async () => (await manager()).list(),
		delete: async name => (await manager()).delete(name),
		validateKeyCsr: async (key, csr) => (await manager()).validateKeyCsr(key, csr),
		updateAccount: async (email, server) => (await manager()).updateAccount(email, server),
		rolloverAccount: async server => (await manager()).rolloverAccount(server),
		deactivateAccount: async server => (await manager()).deactivateAccount(server),
		autoRenew(settings) {
			let isStopped = false;
			const renewing = manager().then(one => (isStopped ? undefined : one.autoRenew(settings)));
			renewing.catch(() => {});
			return {
				stop() {
					isStopped = true;
					void renewing.then(
						one => one?.stop(),
						() => {},
					);
				},
			};
		},
	};
}
