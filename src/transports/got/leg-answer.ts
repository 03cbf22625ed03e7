/** The answer to one leg, as the loop of a hop wants it. */
import type {ClientRequest, IncomingMessage} from 'node:http';
import type {Leg} from '../../hop/run.ts';
import {type Received, receivedResponse} from './received-response.ts';

export interface LegAnswer extends Leg {
	readonly message: IncomingMessage;
	readonly received: Received;
}

/** Wait for it. An answered leg can still fail while its body is on its way; what counts is the answer. */
export function untilAnswered(leg: ClientRequest, onAnswer: () => void): Promise<LegAnswer> {
	return new Promise((resolve, reject) => {
		leg.once('response', (message: IncomingMessage) => {
			onAnswer();
			const received = receivedResponse(message);
			resolve({
				response: received.response,
				message,
				received,
				discard() {
					message.on('error', () => {});
					message.resume();
				},
			});
		});
		leg.on('error', reject);
		leg.once('close', () => reject(closedEarly()));
	});
}

function closedEarly(): Error {
	return Object.assign(new Error('socket hang up'), {code: 'ECONNRESET'});
}
