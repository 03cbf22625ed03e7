/** To load undici changes nothing for those who do not ask for it. In processes where nobody has loaded it before. */
import {execFile} from 'node:child_process';
import {promisify} from 'node:util';
import {expect, test} from 'vitest';

const load = new URL('../../../src/transports/undici/load.ts', import.meta.url);

test.each(['before', 'after'])(
	"the dispatcher of Node's own fetch stays what it was, where fetch is used %s",
	async when => {
		const script = `
			import {loadUndici} from ${JSON.stringify(load)};
			const current = () => globalThis[Symbol.for('undici.globalDispatcher.1')];
			const use = () => fetch('data:,answered').then(response => response.text());
			if (${when === 'before'}) await use();
			const before = current();
			const {Agent} = loadUndici();
			const stays = current() === before;
			const answer = await use();
			const isOurs = current() instanceof Agent;
			console.log(JSON.stringify({stays, answer, isOurs}));`;
		const parameters = ['--input-type=module', '--eval', script];
		const {stdout} = await promisify(execFile)(process.execPath, parameters);
		expect(JSON.parse(stdout)).toEqual({stays: true, answer: 'answered', isOurs: false});
	},
);
