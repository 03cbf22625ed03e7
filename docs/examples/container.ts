/** Puts a service of one's own in the place of gatepass's. */
// #region container
import {readFile} from 'node:fs/promises';
import {createGatepass, Environment} from 'gatepass';
import {container} from 'tsyringe';

const services = container.createChildContainer();
services.register<Environment>(Environment, {
	useValue: {
		SSO_CLIENT_ID: 'runs-report',
		SSO_CLIENT_SECRET: (await readFile('client-secret', 'utf8')).trim(),
	},
});
const gatepass = await createGatepass({container: services});
console.log(await gatepass.got('https://api.example.org/runs').json());
await gatepass.close();
// #endregion
