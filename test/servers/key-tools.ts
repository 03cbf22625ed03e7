/** The tools besides openssl that write keys and PKCS#12 files: NSS', GnuTLS' and Java's. */
import {findProgram, type RealServer} from './availability.ts';

function tool(name: string, program: string, install: string): RealServer {
	return {
		name,
		install: `apt-get install ${install}`,
		whyUnavailable: () => (findProgram(program) === undefined ? `there is no program ${program}` : undefined),
	};
}

export const nssTools = tool("NSS' pk12util", 'pk12util', 'libnss3-tools');
export const gnutlsTools = tool("GnuTLS' certtool", 'certtool', 'gnutls-bin');
export const keytool = tool("Java's keytool", 'keytool', 'default-jre-headless');
