/**
 * The lock on a folder of certificates that stands in the token store, where several machines share that. It holds also
 * where the folder's file system keeps its promises to one machine only. A store that is down keeps nobody from renewing.
 */
import {randomUUID} from 'node:crypto';
import {mkdir, readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {keepBeating, type Rhythm} from '../lineages/certbot/heartbeat.ts';
import type {SharedLock} from '../lineages/certbot/shared-lock.ts';
import type {LeaseAnswer} from '../tokens/token-store.ts';

/** Asks the store for a lease by this name; its holder may ask again, for longer. */
export type TakeLease = (name: string, holder: string, duration: number) => Promise<LeaseAnswer>;

/** Take it for the folder: `held` by somebody else; `undefined`: the store cannot say. */
export async function leaseFolder(
	folder: string,
	take: TakeLease,
	{patience, interval}: Rhythm,
	reason: () => Error,
): Promise<SharedLock | 'held' | undefined> {
	const [name, holder] = [`certificates ${await identityOf(folder)}`, randomUUID()];
	const first = await take(name, holder, patience);
	if (first === undefined || first === 'held') return first;
	let giveBack: (() => Promise<void>) | undefined = first.giveBack;
	const beat = async (): Promise<boolean> => {
		const answer = await take(name, holder, patience);
		// Where the store cannot say, this goes on: the folder's own lock is still there.
		if (answer !== undefined) giveBack = answer === 'held' ? undefined : answer.giveBack;
		return answer !== 'held';
	};
	const {lost, stop} = keepBeating(beat, {patience, interval}, reason);
	return {
		lost,
		async release() {
			await stop();
			await giveBack?.();
		},
	};
}

/** Folders of the same path on two machines are two, unless they share this. */
async function identityOf(folder: string): Promise<string> {
	const file = join(folder, 'gatepass/identity');
	await mkdir(join(folder, 'gatepass'), {recursive: true, mode: 0o700});
	await writeFile(file, randomUUID(), {flag: 'wx', mode: 0o600}).catch((error: NodeJS.ErrnoException) => {
		if (error.code !== 'EEXIST') throw error;
	});
	return (await readFile(file, 'utf8')).trim();
}
