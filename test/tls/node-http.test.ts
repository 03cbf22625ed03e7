/** Node's client for plain http, by another way than its import. */
import http from 'node:http';
import {afterEach, expect, test, vi} from 'vitest';
import {HttpAgent, nodeHttp, requestHttp} from '../../src/tls/node-http.ts';

afterEach(() => {
	vi.restoreAllMocks();
});

test('it is the very one that an import gives', () => {
	expect(HttpAgent).toBe(http.Agent);
	expect(nodeHttp()).toBe(http);
});

test('whoever has put a function of his own into the module is asked', () => {
	const own = vi.spyOn(http, 'request').mockImplementation(() => 'mine' as never);
	expect(requestHttp({host: 'a.example.org'})).toBe('mine');
	expect(own).toHaveBeenCalledExactlyOnceWith({host: 'a.example.org'});
});
