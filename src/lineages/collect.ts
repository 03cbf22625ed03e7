/** Fetches the certificate of a pending request from its authority. */
import {GatepassError} from '../errors.ts';
import {issuerOf} from '../issuers/issuers.ts';
import {IdentityFolder} from './folder.ts';
import {readPending} from './pending-request.ts';

/** What was issued, and where it came from. */
export interface Collected {
	readonly bytes: Buffer;
	readonly source: string;
}

/** @throws {GatepassError} where it has not been issued yet, or was refused, or is to be fetched by hand. */
export async function collect(path: string): Promise<Collected> {
	const pending = await readPending(new IdentityFolder(path));
	if (pending === undefined) {
		throw new GatepassError({
			code: 'request-not-pending',
			what: `No request is pending in ${path}`,
			hint: "Name the file of the certificate, or make a request with 'gatepass cert request'",
		});
	}
	const authority = await issuerOf(pending.authority);
	const {reference} = pending;
	if (reference === undefined) {
		if (pending.authority.kind === 'by-hand') return {bytes: await authority.collect(''), source: ''};
		throw new GatepassError({
			code: 'request-not-submitted',
			what: `The request in ${path} was not handed in yet`,
			hint: "Run 'gatepass cert request' again, with the same options",
		});
	}
	const {state, detail} = await authority.poll(reference);
	const why = detail === undefined ? '' : `: ${detail}`;
	if (state === 'waiting') {
		throw new GatepassError({
			code: 'certificate-not-issued-yet',
			what: `The certificate has not been issued yet${why}`,
			hint: 'Run this command again later',
		});
	}
	if (state === 'refused') {
		throw new GatepassError({
			code: 'request-refused',
			what: `The authority has refused the request${why}`,
			hint: "Put that right, and make a new one with 'gatepass cert request --new'",
		});
	}
	return {bytes: await authority.collect(reference), source: `the authority's answer to ${reference}`};
}
