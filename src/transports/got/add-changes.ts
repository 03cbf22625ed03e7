/** Gives a request that is made, and not sent yet, what the strategy changed. */
import type {ClientRequest} from 'node:http';
import type {HopRequest} from '../../hop/request.ts';
import {setPath} from '../../http/sent-headers.ts';

export function addChanges(leg: ClientRequest, {headers, target, addsQuery}: HopRequest): ClientRequest {
	try {
		for (const name of headers.changed) {
			const value = headers.record[name];
			if (value === undefined) leg.removeHeader(name);
			else leg.setHeader(name, value);
		}
	} catch (error) {
		// A value that cannot stand in a header. Nobody else knows of the request as yet.
		leg.on('error', () => {});
		leg.destroy();
		throw error;
	}
	if (addsQuery) setPath(leg, target.pathname + target.search);
	return leg;
}
