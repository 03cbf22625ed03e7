/** Node's client for plain http, by another way than its import. */
import imported from 'node:http';
import {afterEach, expect, test, vi} from 'vitest';
import {HttpAgent, http, requestHttp} from '../../src/tls/node-http.ts';

afterEach(() => {
	vi.restoreAllMocks();
});

test('it is the very one that an import gives', () => {
	expect(HttpAgent).toBe(imported.Agent);
	expect(http).toBe(imported);
});

test('whoever has put a function of his own into the module is asked', () => {
	const own = vi.spyOn(imported, 'request').mockImplementation(() => 'mine' as never);
	expect(requestHttp({host: 'a.example.org'})).toBe('mine');
	expect(own).toHaveBeenCalledExactlyOnceWith({host: 'a.example.org'});
});
