/** A home folder for a robot that is removed after each test, and what its operator does there, in this process. */
import {createPrivateKey, type KeyObject, X509Certificate} from 'node:crypto';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, afterEach, beforeAll, beforeEach, expect, vi} from 'vitest';
import {CertificateError} from '../../src/errors.ts';
import {type Installation, install} from '../../src/lineages/install.ts';
import {type RequestOutcome, type RequestSettings, requestCertificate} from '../../src/lineages/request.ts';
import {createTestAuthority, type SigningSettings, type TestAuthority} from '../../src/testing/index.ts';

export const subject = 'CN=Robot: cmsprod,OU=Users,DC=example';

export class RobotHome {
	authority!: TestAuthority;
	home!: string;
	/** The folder of the identity. */
	path!: string;

	/** Have it made before each test of a file. */
	static forEachTest(): RobotHome {
		const own = new RobotHome();
		beforeAll(async () => {
			own.authority = await createTestAuthority();
		});
		afterAll(() => own.authority?.close());
		beforeEach(() => {
			own.home = mkdtempSync(join(tmpdir(), 'gatepass-robots-'));
			own.path = join(own.home, 'identity');
			vi.stubEnv('HOME', own.home);
			vi.stubEnv('XDG_STATE_HOME', '');
			vi.stubEnv('CERN_CERTIFICATE_PATH', '');
		});
		afterEach(() => {
			vi.unstubAllEnvs();
			rmSync(own.home, {recursive: true});
		});
		return own;
	}

	ask(settings: Partial<RequestSettings> = {}): Promise<RequestOutcome> {
		return requestCertificate({
			path: this.path,
			keyType: {type: 'ecdsa', curve: 'secp256r1'},
			...settings,
		});
	}

	/** The text of a request. */
	async request(serviceAccount?: string, keyType?: RequestSettings['keyType']): Promise<string> {
		return (await this.ask({serviceAccount, ...(keyType && {keyType})})).text;
	}

	install(issued: string | Buffer, allowNewSubject = false): Promise<Installation> {
		return install({path: this.path, bytes: Buffer.from(issued), source: 'issued.pem', allowNewSubject});
	}

	/** From the request to the use. */
	async live(settings: SigningSettings = {}): Promise<Installation> {
		return this.install(await this.authority.sign(await this.request('cmsprod'), {subject, ...settings}));
	}

	inUse(): X509Certificate {
		return new X509Certificate(readFileSync(join(this.path, 'usercert.pem')));
	}

	keyInUse(): KeyObject {
		return createPrivateKey(readFileSync(join(this.path, 'userkey.pem')));
	}
}

/** The message of the `CertificateError` that comes of it. */
export async function refusal(work: Promise<unknown>): Promise<string> {
	const error = await work.then(
		() => undefined,
		(failure: unknown) => failure,
	);
	expect(error).toBeInstanceOf(CertificateError);
	return (error as Error).message;
}
