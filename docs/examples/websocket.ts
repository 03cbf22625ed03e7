/** A WebSocket by ws. */
import {createGatepass} from 'gatepass';

const gatepass = await createGatepass({config: 'other-clients.yaml'});

// #region ws
import {once} from 'node:events';
import type {IncomingMessage} from 'node:http';
import type {FlowLeg} from 'gatepass';
import {WebSocket} from 'ws';

async function open(url: string): Promise<WebSocket> {
	await using flow = await gatepass.flow(url);
	for (let leg: FlowLeg = flow; ; ) {
		// Rules are for https: a WebSocket begins as a request.
		const socket = new WebSocket(leg.url.replace(/^http/, 'ws'), {headers: leg.headers, ...leg.tls});
		const response = await answerTo(socket);
		const next = await flow.next(response);
		if (next === undefined && response.statusCode === 101) return socket;
		if (next === undefined) throw new Error(`${url} answered ${response.statusCode}`);
		leg = next;
	}
}

/** The answer to the request that a WebSocket begins with. One that is open is paused, so that no message is missed. */
function answerTo(socket: WebSocket): Promise<IncomingMessage> {
	return new Promise((resolve, reject) => {
		socket.once('error', reject);
		socket.once('upgrade', response => {
			socket.once('open', () => {
				socket.pause();
				resolve(response);
			});
		});
		socket.once('unexpected-response', (_request, response) => resolve(response.resume()));
	});
}

const socket = await open('https://events.example.org/runs');
socket.on('message', message => {
	console.log(message.toString());
	socket.close();
});
socket.resume();
await once(socket, 'close');
// #endregion
await gatepass.close();
