/**
 * One process of those that contend for leases: `node lease-child.ts STORE-URL`. Says `ready`, then does what each
 * message says and answers with what came of it.
 */
import type {LeaseAnswer, LeaseRequest} from './lease-processes.ts';
import {openerOf, RawStore} from './raw-store.ts';

const [storeUrl = ''] = process.argv.slice(2);
const store = new RawStore(openerOf(storeUrl));

async function execute({call, key, holder, duration}: LeaseRequest): Promise<boolean | undefined> {
	if (call === 'acquire') return store.acquire(key, holder, duration);
	await store.release(key, holder);
	return undefined;
}

process.on('message', async (request: LeaseRequest) => {
	const answer: LeaseAnswer = await execute(request).then(
		result => ({id: request.id, result}),
		error => ({id: request.id, error: String(error)}),
	);
	process.send?.(answer);
});
process.on('disconnect', () => store.close());
process.send?.('ready');
