import {readFile} from 'node:fs/promises';
import {request} from 'node:https';
import {defaultUserCertificatePaths, trustBundlePath} from 'gatepass/cern';

const {certificate, key} = defaultUserCertificatePaths();
const [cert, privateKey, ca] = await Promise.all(
	[certificate, key, trustBundlePath('cern')].map(file => readFile(file)),
);
request('https://cmsweb.cern.ch/', {cert, key: privateKey, ca}, response => {
	console.log(response.statusCode);
}).end();
