/** What is fetched without a credential, such as a revocation list, has at most 64 MiB. */
import got from 'got';
import {expect, onTestFinished, test} from 'vitest';
import {fileFetcher} from '../../src/http/fetch-file.ts';
import {startServer} from '../../src/testing/server.ts';

const largest = 64 * 1024 * 1024;
const chunk = Buffer.alloc(1024 * 1024);

/** Fetch what a server sends in so many chunks, or a few bytes more. Gives its length, and how many were sent. */
async function fetchOf(chunks: number, more = 0): Promise<{length: number | string; sent: number}> {
	let sent = 0;
	const server = await startServer((_request, response) => {
		const write = (): void => {
			while (sent < chunks) {
				if (response.destroyed) return;
				sent += 1;
				if (!response.write(chunk)) return void response.once('drain', write);
			}
			response.end(Buffer.alloc(more));
		};
		write();
	});
	onTestFinished(() => server.close());
	const fetched = fileFetcher(async () => got)(server.url, new AbortController().signal);
	const length = await fetched.then(
		({byteLength}) => byteLength,
		({message}: Error) => message,
	);
	return {length, sent};
}

test('as much as that is fetched, and no byte more', async () => {
	expect((await fetchOf(64)).length).toBe(largest);
	expect((await fetchOf(64, 1)).length).toBe(`cannot be fetched (it has more than ${largest} bytes)`);
});

test('what has no end is broken off', async () => {
	const {length, sent} = await fetchOf(10_000);
	expect(length).toBe(`cannot be fetched (it has more than ${largest} bytes)`);
	expect(sent).toBeLessThan(1000);
});
