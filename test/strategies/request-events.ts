/** What gatepass told of its requests during the tests of a file. */
import {subscribe, unsubscribe} from 'node:diagnostics_channel';
import {afterAll, beforeAll} from 'vitest';
import type {EventPayloads} from '../../src/observability/events.ts';

type RequestEvent = EventPayloads['gatepass:request'];

export function requestEvents(): {of(url: string): RequestEvent | undefined} {
	const seen: RequestEvent[] = [];
	const listen = (message: unknown): void => void seen.push(message as RequestEvent);
	beforeAll(() => subscribe('gatepass:request', listen));
	afterAll(() => void unsubscribe('gatepass:request', listen));
	/** The latest for a URL. */
	return {of: url => seen.findLast(event => event.url === url)};
}
