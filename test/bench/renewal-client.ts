/** Renews what is due in a folder of certificates, once, and says how long that took and how much memory. */
import {CertificateManager} from '../../src/certificates/manager.ts';
import {makeAuthenticator, makeInstaller} from '../../src/certificates/plug-ins.ts';
import {defaultSettings} from '../../src/config/certificate-settings.ts';

const [folder = ''] = process.argv.slice(2);
const manager = new CertificateManager({
	settings: {...defaultSettings, folder},
	connect: () => {
		throw new Error('no server is to be asked');
	},
	makeAuthenticator,
	makeInstaller,
});
const {skipped, failed, renewed} = await manager.renew({jitter: false});
const [peak] = [process.resourceUsage().maxRSS];
console.log(
	JSON.stringify({skipped: skipped.length, failed: failed.length, renewed: renewed.length, kilobytes: peak}),
);
process.exit();
