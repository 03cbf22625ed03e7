/** Which revocation lists count at a time and for a CA: as OpenSSL and Node have it. */
import {readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {connect} from 'node:tls';
import {expect, test} from 'vitest';
import {describeWith} from '../servers/availability.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import type {ListSettings} from './pki.ts';
import {
	expectRefusal,
	gatepassFor,
	grid,
	gridName,
	host,
	newFolder,
	outcome,
	pki,
	root,
	server,
} from './stage.ts';

const day = 86_400_000;
const asn1 = (time: number): string => new Date(time).toISOString().replace(/[-:T]|\.\d+/g, '');

/** What OpenSSL and Node say of the server with that list: whether it is believed. */
async function othersBelieve(list: string): Promise<boolean[]> {
	const file = join(pki.folder, 'others.crl');
	await writeFile(file, list);
	const believed = (work: Promise<unknown>): Promise<boolean> =>
		work.then(
			() => true,
			() => false,
		);
	// Node wants a list of each CA.
	const crl = [list, await pki.list(root)];
	const ca = [await readFile(root.certificate), await readFile(grid.certificate)];
	const byOpenssl = pki.openssl(
		...['verify', '-crl_check', '-CRLfile', file, '-CAfile', root.certificate],
		...['-untrusted', grid.certificate, host.certificate],
	);
	const {hostname, port} = new URL(server.url);
	const byNode = new Promise<void>((resolve, reject) => {
		const socket = connect({host: hostname, port: Number(port), ca, crl}, () => {
			socket.destroy();
			resolve();
		});
		socket.on('error', reject);
	});
	return Promise.all([believed(byOpenssl), believed(byNode)]);
}

describeWith(opensslServer, 'a revocation list', () => {
	test.each<[string, () => ListSettings, boolean, RegExp]>([
		['that holds', () => ({}), true, /never/],
		[
			'that is outdated',
			() => ({nextUpdate: asn1(Date.now() - day)}),
			false,
			/is outdated: .*was good until/,
		],
		[
			'that begins in the future',
			() => ({thisUpdate: asn1(Date.now() + day), nextUpdate: asn1(Date.now() + 2 * day)}),
			false,
			/begins in the future: .*\.r0 is good from .*Check this machine's clock/,
		],
		[
			'that begins in the future and names the server',
			() => ({
				revoked: [host],
				thisUpdate: asn1(Date.now() + day),
				nextUpdate: asn1(Date.now() + 2 * day),
			}),
			false,
			/is revoked/,
		],
	])('%s', async (_, settings, isBelieved, reason) => {
		const list = await pki.list(grid, settings());
		expect(await othersBelieve(list)).toEqual([isBelieved, isBelieved]);
		const folder = await newFolder();
		await folder.put(grid, 'r0', list);
		const gatepass = await gatepassFor(folder.path);
		if (isBelieved) expect(await outcome(gatepass)).toBe(200);
		else await expectRefusal(gatepass, reason);
		// With another list that holds, it does no harm; nor does it any good.
		await folder.put(grid, 'r1', await pki.list(grid));
		if (!reason.test('is revoked')) expect(await outcome(await gatepassFor(folder.path))).toBe(200);
	});

	test('counts for the CA whose name it bears, in whichever capitals and blanks, and for no other with its key', async () => {
		const signedAs = async (name: string): Promise<string> => {
			await pki.openssl(
				...['req', '-x509', '-key', grid.key, '-subj', name, '-days', '2', '-out', 'namesake.pem'],
			);
			return pki.list({...grid, certificate: join(pki.folder, 'namesake.pem')}, {revoked: [host]});
		};
		const loud = await signedAs(gridName.replace('Grid CA', '  GRID   ca '));
		const stranger = await signedAs('/CN=Another');
		expect(await othersBelieve(loud)).toEqual([false, false]);
		const folder = await newFolder();
		await folder.put(grid, 'r0', loud);
		await expectRefusal(await gatepassFor(folder.path), /is revoked/);
		await folder.put(grid, 'r0', stranger);
		await expectRefusal(await gatepassFor(folder.path), /is not signed by this CA/);
	});
});
