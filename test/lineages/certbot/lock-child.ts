/** Takes the lock on a folder, says so, and holds it until its standard input ends; or says what keeps it from that. */
import {once} from 'node:events';
import {withLock} from '../../../src/lineages/certbot/lock.ts';

const [folder = '', patience = '60000', interval = '15000'] = process.argv.slice(2);
try {
	await withLock(
		folder,
		async lost => {
			console.log('locked');
			process.stdin.resume();
			await Promise.race([once(process.stdin, 'end'), once(lost, 'abort')]);
			if (lost.aborted) console.log(`lost: ${lost.reason.message}`);
		},
		{rhythm: {patience: Number(patience), interval: Number(interval)}},
	);
	console.log('over');
} catch (error) {
	console.log(`refused: ${(error as Error).message}`);
}
