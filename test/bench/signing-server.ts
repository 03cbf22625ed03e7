/** The server of the signing row, in a process of its own: it wants a signature, and does not verify it. */
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {answerParent, tellParent} from './child.ts';

const server = createServer((request, response) => {
	const {authorization, 'x-amz-date': date} = request.headers;
	request.resume().on('end', () => {
		response.writeHead(authorization !== undefined && date !== undefined ? 200 : 403);
		response.end('answered');
	});
});
await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
tellParent(`http://127.0.0.1:${(server.address() as AddressInfo).port}/stage/things?page=1&size=20`);
answerParent(async () => undefined);
