/** Adopts what other programs keep in folders of theirs. */
import {GatepassError} from '../errors.ts';
import {type CertbotFolder, checkLineageName} from '../lineages/certbot/folder.ts';
import {type ForeignCertificate, findForeign, readForeign} from '../lineages/certbot/foreign-folders.ts';
import {Lineage} from '../lineages/certbot/lineage.ts';
import {newLineage} from './new-lineage.ts';
import type {ObtainOptions} from './ordering.ts';
import type {ManagerParts} from './parts.ts';
import {type LineageStatus, statusOf} from './status.ts';

/** A certificate that another program obtained, and that is a lineage now. */
export interface AdoptedCertificate {
	/** The program whose folder it was. */
	readonly program: string;
	/** The file of its certificate there. */
	readonly from: string;
	readonly lineage: LineageStatus;
}

/** @throws {GatepassError} where there is nothing of the kind. */
export async function findAdoptable(place: string): Promise<readonly ForeignCertificate[]> {
	const found = await findForeign(place);
	if (found.length > 0) return found;
	throw new GatepassError({
		code: 'certificate-missing',
		what: `There is no certificate with its key in ${place}, laid out as ACME clients do`,
		hint: 'Name the folder of lego, dehydrated, uacme, acme-tiny, acmetool or mod_md, or a PKCS#12 file',
	});
}

/** Each as a lineage, but for those that were adopted before. */
export async function adoptAll(
	parts: ManagerParts,
	folder: CertbotFolder,
	found: readonly ForeignCertificate[],
	options: ObtainOptions,
): Promise<readonly AdoptedCertificate[]> {
	const adopted: AdoptedCertificate[] = [];
	for (const one of found) {
		const files = await readForeign(one);
		if (await isKept(folder, files.privkey, files.cert)) continue;
		const name = await Lineage.freeName(folder, checkLineageName(one.name));
		const lineage = await newLineage(parts, folder, name, {files, options, account: undefined});
		adopted.push({program: one.program, from: one.certificate, lineage: await statusOf(lineage)});
	}
	return adopted;
}

/** Whether a lineage has this certificate in use already, such as from an import before. */
async function isKept(folder: CertbotFolder, key: string, certificate: string): Promise<boolean> {
	for (const name of await folder.names()) {
		const lineage = await Lineage.open(folder, name).catch(() => undefined);
		const read = await lineage?.read().catch(() => undefined);
		if (read?.files.privkey === key && read.files.cert === certificate) return true;
	}
	return false;
}
