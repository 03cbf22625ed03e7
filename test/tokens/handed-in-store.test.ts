/** A keyv adapter or instance that a caller hands to `createGatepass`: used, sealed, and the caller's to close. */
import {Keyv} from 'keyv';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {ConfigurationError, type ConfigurationInput, createGatepass} from '../../src/index.ts';
import {startTokenServer, type TokenServer} from '../../src/testing/index.ts';

let server: TokenServer;
beforeEach(async () => {
	server = await startTokenServer();
});
afterEach(async () => server.close());

function configuration(cache: NonNullable<ConfigurationInput['cache']>): ConfigurationInput {
	const options = {clientId: 'a', clientSecret: 'b', tokenEndpoint: server.tokenEndpoint};
	return {cache, hostRules: [{match: server.url, strategy: 'sso-client-credentials', options}]};
}

const encryptionKey = Buffer.alloc(32, 7).toString('base64');

test('two instances that are handed the same keyv share one token, encrypted, and leave it open', async () => {
	const kept = new Map<string, unknown>();
	const cache = new Keyv({store: kept});
	for (let round = 0; round < 2; round++) {
		const gatepass = await createGatepass({config: configuration({encryptionKey}), cache});
		await expect(gatepass.got(`${server.url}/data`).json()).resolves.toMatchObject({authorized: true});
		await gatepass.close();
	}
	expect(server.issued).toBe(1);
	const shown = String(server.requests.at(-1)?.headers.authorization).replace('Bearer ', '');
	expect(kept.size).toBe(1);
	expect(JSON.stringify([...kept])).not.toContain(shown);
	// Still the caller's to use.
	await expect(cache.set('own', 'value')).resolves.toBe(true);
});

test('it takes a key, or the word that none is wanted', async () => {
	const refused = createGatepass({config: configuration({}), cache: new Keyv()});
	await expect(refused).rejects.toBeInstanceOf(ConfigurationError);
	await expect(refused).rejects.toThrow(/no key to encrypt tokens with.*openssl rand -base64 32/);
	const gatepass = await createGatepass({config: configuration({encryption: 'off'}), cache: new Keyv()});
	await expect(gatepass.got(`${server.url}/data`).json()).resolves.toMatchObject({authorized: true});
	await gatepass.close();
});
