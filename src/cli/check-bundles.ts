/** Are the bundles of the configuration whole, and how long will they do? */
import type {Bundle} from '../bundles/bundle.ts';
import {verifyBundle} from '../bundles/verify.ts';
import {type Finding, failed, ok, warning} from './finding.ts';
import {count, describeTime} from './output.ts';

export function checkBundles(bundles: readonly Bundle[]): Finding[] {
	return bundles.flatMap(bundle => {
		const {certificates, firstEnd, faults} = verifyBundle(bundle);
		const source = `bundle:${bundle.id}`;
		if (faults.length === 0) {
			const end = firstEnd === undefined ? '' : `, the first ends ${describeTime(firstEnd)}`;
			return [ok('bundle', `${count(certificates, 'CA certificate')}${end}`, source)];
		}
		return faults.map(({severity, subject, what, mend}) => {
			const tell = severity === 'failed' ? failed : warning;
			// Nobody but gatepass builds the bundles that it brings along.
			const isOwn = bundle.id !== bundle.name;
			return tell('bundle', `${subject}: ${what}`, isOwn ? mend : 'Update gatepass', source);
		});
	});
}
