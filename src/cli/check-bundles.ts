/** Are the bundles of the configuration whole, and how long will they do? */
import type {Bundle} from '../bundles/bundle.ts';
import {readPreset} from '../bundles/preset.ts';
import {verifyBundle} from '../bundles/verify.ts';
import {warning} from '../diagnostics/diagnostic.ts';
import {type Finding, ok, told} from './finding.ts';
import {count, describeTime} from './output.ts';

export function checkBundles(bundles: readonly Bundle[]): Finding[] {
	return bundles.flatMap(bundle => {
		const {certificates, firstEnd, faults} = verifyBundle(bundle);
		const source = `bundle:${bundle.id}`;
		const {servers, strategies} = readPreset(bundle);
		if (servers.length === 0 && Object.keys(strategies).length === 0) {
			const what = 'It is for no servers, so it adds nothing by itself';
			const hint = `Write an entry under 'trust' with the servers and ca: bundle:${bundle.id}`;
			return [told('bundle', warning({code: 'bundle-adds-nothing', what, hint, where: source}))];
		}
		if (faults.length === 0) {
			const end = firstEnd === undefined ? '' : `, the first expires ${describeTime(firstEnd)}`;
			return [ok('bundle', `${count(certificates, 'CA certificate')}${end}`, source)];
		}
		return faults.map(({subject, ...fault}) => {
			// Nobody but gatepass builds the bundles that it brings along.
			const isOwn = bundle.id !== bundle.name;
			return told('bundle', isOwn ? fault : {...fault, hint: 'Update gatepass'}, {subject, where: source});
		});
	});
}
