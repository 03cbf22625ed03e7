import {execFile} from 'node:child_process';
import {writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import process from 'node:process';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import type {Diagnosis} from '../../src/index.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {findProgram} from '../servers/availability.ts';
import {faketime} from '../servers/faketime.ts';
import {mitKdc} from '../servers/kdc.ts';
import {useRealm} from '../strategies/kerberos-setup.ts';
import {fault} from './harness.ts';

const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

// A process of its own, whose clock is put on; tickets that are there already are good for that long.
fault('clock-skew', [mitKdc, apacheNegotiate, faketime], () => {
	const realm = useRealm();
	return async stage => {
		const folder = await stage.folder();
		const options = {credentialCache: await realm.kdc.ticket(), library: 'mit'};
		const rules = [{match: 'http://localhost:*', strategy: 'kerberos', options}];
		const configuration = {cache: {url: 'memory:'}, hostRules: rules};
		await writeFile(join(folder, 'gatepass.config.json'), JSON.stringify(configuration));
		const command = [process.execPath, main, 'doctor', '--json', realm.url('http', '/negotiate')];
		const run = promisify(execFile)(findProgram('faketime') as string, ['-f', '+20m', ...command], {
			cwd: folder,
		});
		const {stdout} = await run.catch((error: {stdout: string}) => error);
		return JSON.parse(stdout) as Diagnosis;
	};
});
