/** Prints which of the rules in `host-rules.yaml` some requests would use. Touches no network. */
// #region which
import {createGatepass} from 'gatepass';

const gatepass = await createGatepass({config: 'host-rules.yaml'});
const requests = [
	['GET', 'https://example.org/'],
	['GET', 'https://wiki.example.org/'],
	['GET', 'https://a.b.lab.example.org/'],
	['GET', 'https://api.example.org/runs'],
	['POST', 'https://api.example.org/runs/7'],
	['GET', 'https://api.example.org:8443/runs'],
	['GET', 'https://api.example.org/public/logo.png'],
	['GET', 'https://api.example.org/publications'],
	['GET', 'http://api.example.org/runs'],
] as const;
for (const [method, url] of requests) {
	const {rule} = gatepass.explain(url, {method});
	console.log(`${method} ${url}\n  ${rule === undefined ? 'no rule' : `${rule.match}: ${rule.strategy}`}`);
}
await gatepass.close();
// #endregion
