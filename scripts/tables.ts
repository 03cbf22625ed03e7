/** The tables of the guides that say what works, made from what the tests try, and those that share their data with a picture. */
import type {SecureVersion} from 'node:tls';
import * as kerberos from '../test/strategies/kerberos-forms.ts';
import {keyTypes} from '../test/tls/key-types.ts';
import {type Form, keyForms, pkcs12Forms} from '../test/x509/key-forms.ts';
import {wants} from './pictures/choices.ts';

const versions: readonly SecureVersion[] = ['TLSv1.3', 'TLSv1.2'];

/** By the name behind `<!-- table:`. */
export const tables: Readonly<Record<string, () => string>> = {
	'key types': () =>
		table(
			['key', ...versions.map(version => version.replace('v', ' '))],
			keyTypes.map(type => [
				type.title,
				...versions.map(version => (type.versions.includes(version) ? 'shown' : 'an error')),
			]),
		),
	'key forms': () =>
		table(['encrypted key', 'opens', 'is named, with a command to convert it'], groups(keyForms)),
	'PKCS#12 forms': () =>
		table(['PKCS#12 file of', 'opens', 'is named, with a command to convert it'], groups(pkcs12Forms)),
	'signs of a host': () =>
		table(
			['the host wants', 'how it says so'],
			wants.map(({wants: what, sign}) => [what, sign]),
		),
	strategies: () =>
		table(
			['the host wants', 'you have', 'strategy'],
			wants.flatMap(({wants: what, choices}) =>
				choices.map(({have, strategy, option}, index) => [
					index === 0 ? what : '',
					have,
					`[\`${strategy}\`](configuration.md#${strategy})${option === undefined ? '' : `, \`${option}\``}`,
				]),
			),
		),
	'Kerberos tickets': () => libraries('tickets', kerberos.ticketForms),
	'Kerberos key tables': () => libraries('key table', kerberos.keytabForms),
	'Kerberos keys': () => libraries('keys of one type alone', kerberos.keyForms),
};

/** Forms by what stands before the colon of their titles, or by their tool. */
function groups(forms: readonly Form[]): string[][] {
	const byGroup = Map.groupBy(forms, form => partsOf(form).group);
	return [...byGroup].map(([group, all]) => {
		const list = (some: readonly Form[]): string => some.map(form => partsOf(form).what).join('; ');
		return [
			group,
			list(all.filter(({unsupported}) => unsupported === undefined)),
			list(all.filter(({unsupported}) => unsupported !== undefined)),
		];
	});
}

/** What both Kerberos libraries do. */
function libraries(what: string, forms: readonly kerberos.KerberosForm[]): string {
	return table(
		[what, 'MIT', 'Heimdal'],
		forms.map(({title, mit, heimdal}) => [title, mit.shown, heimdal.shown]),
	);
}

function partsOf({title}: Form): {group: string; what: string} {
	const [, group = '', what = ''] = /^(.+?)(?:: |'s )(.+)$/.exec(title) ?? [];
	return {group, what};
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
	const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
	return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('');
}
