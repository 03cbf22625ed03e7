/** Requests that other clients send. */
import {createGatepass} from 'gatepass';

const gatepass = await createGatepass({config: 'other-clients.yaml'});
// #region fetch
const runs = 'https://api.example.org/runs';
const {headers} = await gatepass.authorize(runs);
const response = await fetch(runs, {headers, redirect: 'error'});
console.log(await response.json());

// #endregion
// #region https
import {request} from 'node:https';

const files = 'https://files.example.org/list';
const authorization = await gatepass.authorize(files, {method: 'GET'});
request(files, {headers: authorization.headers, ...authorization.tls}, answer => {
	console.log(answer.statusCode);
	answer.resume();
}).end();
// #endregion
await gatepass.close();
