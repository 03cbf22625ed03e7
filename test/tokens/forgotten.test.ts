/** What `forget` deletes is gone from the files of the store, not only from what is read of them. */
import {mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {createGatepass} from '../../src/index.ts';
import {startTokenServer} from '../../src/testing/index.ts';

test.each(['while it is open', 'once it is closed'])(
	'forget leaves no token in the files, %s',
	async when => {
		const folder = mkdtempSync(join(tmpdir(), 'gatepass-forgotten-'));
		onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
		const server = await startTokenServer();
		onTestFinished(() => server.close());
		const api = 'https://api.example.org/';
		await using gatepass = await createGatepass({
			cwd: folder,
			env: {},
			config: {
				cache: {url: `sqlite:${folder}/tokens.sqlite`},
				hostRules: [
					{
						match: api,
						strategy: 'sso-client-credentials',
						options: {clientId: 'me', clientSecret: 'x', tokenEndpoint: server.url},
					},
				],
			},
		});
		const {headers} = await gatepass.authorize(api);
		const token = String(headers.authorization).replace('Bearer ', '');
		const found = (): string[] =>
			readdirSync(folder).filter(name => readFileSync(join(folder, name)).includes(token));
		await expect.poll(found).not.toEqual([]);
		await gatepass.forget(api);
		if (when === 'once it is closed') await gatepass.close();
		expect(found()).toEqual([]);
	},
);
