/** Forms as a body of got: whole on each leg, each retry and each redirect that keeps it. */
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {buffer} from 'node:stream/consumers';
import {expect, onTestFinished, test} from 'vitest';
import {setUpStage} from '../scripted-stage.ts';

const stage = setUpStage();

function newForm(): FormData {
	const form = new FormData();
	form.append('plain', 'a\nb – é');
	form.append('na"me\r\n', '');
	form.append('file', new File([new Uint8Array([0, 255, 13, 10])], 'f"ile.bin', {type: 'image/png'}));
	form.append('blob', new Blob(['x'.repeat(100_000)]));
	return form;
}

/** What a server makes of each request that it gets. */
async function received(statusOf: (count: number) => number): Promise<{forms: FormData[]; url: string}> {
	const seen = {forms: [] as FormData[], url: ''};
	const server = createServer(async (incoming, response) => {
		const headers = {'content-type': String(incoming.headers['content-type'])};
		seen.forms.push(await new Response(new Uint8Array(await buffer(incoming)), {headers}).formData());
		const status = statusOf(seen.forms.length);
		response.writeHead(status, status === 307 ? {location: '/further'} : {}).end();
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	onTestFinished(() => {
		server.closeAllConnections();
		server.close();
	});
	seen.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
	return seen;
}

async function partsOf(form: FormData): Promise<unknown[]> {
	return Promise.all(
		[...form].map(async ([name, value]) =>
			typeof value === 'string'
				? [name, value]
				: [name, value.name, value.type, Buffer.from(await value.arrayBuffer()).toString('base64')],
		),
	);
}

/** As Node itself sends it. */
const wanted = async (): Promise<unknown[]> => partsOf(await new Response(newForm()).formData());

test.each([
	['a 401', (count: number) => (count === 1 ? 401 : 200), 2],
	['several legs', (count: number) => (count < 4 ? 401 : 200), 4],
	['a redirect and a 401 there', (count: number) => [307, 401, 200][count - 1] ?? 200, 3],
])('after %s, it is sent again', async (_name, statusOf, count) => {
	if (count === 3) {
		stage.script = async function* () {
			if ((yield).status === 401) yield;
		};
	}
	const seen = await received(statusOf);
	const {statusCode} = await stage.gatepass.got.post(seen.url, {body: newForm()});
	expect(statusCode).toBe(200);
	expect(seen.forms).toHaveLength(count);
	for (const form of seen.forms) expect(await partsOf(form)).toEqual(await wanted());
});

test('and by a retry of got', async () => {
	stage.script = async function* () {
		yield;
	};
	const seen = await received(count => (count === 1 ? 503 : 200));
	await stage.gatepass.got.put(seen.url, {
		body: newForm(),
		retry: {limit: 1, calculateDelay: ({computedValue}) => computedValue && 1},
	});
	expect(seen.forms).toHaveLength(2);
	for (const form of seen.forms) expect(await partsOf(form)).toEqual(await wanted());
});
