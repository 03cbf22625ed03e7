/** `gatepass cert inspect`: shows what a certificate is, and what is wrong with it. */
import type {Command} from 'commander';
import type {ChainTrust} from './chain-trust.ts';
import type {InspectedCertificate} from './inspected-certificate.ts';
import type {InspectOptions} from './inspected-files.ts';
import {count, describeTime, paint, print, printJson, shortPath} from './output.ts';
import {withProgress} from './progress.ts';
import {examples, optionsOf, parseUrl} from './settings.ts';
import {wrap} from './wrap.ts';

export function addCertInspectCommand(group: Command): void {
	group
		.command('inspect')
		.summary('show what a certificate is, and what is wrong with it')
		.description(
			'Show whose a certificate is, what for and until when, how its key is kept, which CAs vouch for it, and what is ' +
				'wrong with it: of a file (PEM, DER, PKCS#12, a proxy), of a folder with usercert.pem and userkey.pem, of a server ' +
				'at an https URL; or, without a name, the one that grid-certificate finds on this machine.',
		)
		.argument('[file or url]', 'what to look at')
		.option(
			'--passphrase-file <file>',
			'for PKCS#12: a file whose first line is the passphrase; default: ask',
		)
		.option('--alias <name>', 'of several identities in the file, the one of that alias')
		.option('--thumbprint <digits>', 'likewise, by the SHA-256 or SHA-1 of its certificate')
		.addHelpText(
			'after',
			examples(
				'gatepass cert inspect',
				'gatepass cert inspect my.p12',
				'gatepass cert inspect https://cmsweb.cern.ch/',
				'gatepass cert inspect --json ~/.globus/usercert.pem | jq .kind',
			),
		)
		.action(async (named: string | undefined, _own: unknown, command: Command) => {
			const options = optionsOf<InspectOptions>(command);
			const url = named?.includes('://') ? parseUrl(named) : undefined;
			const [{inspectFile}, {inspectServer}, {judgeChain}, {describeCertificate}] = await Promise.all([
				import('./inspected-files.ts'),
				import('./inspected-server.ts'),
				import('./chain-trust.ts'),
				import('./inspected-certificate.ts'),
			]);
			const inspected =
				url === undefined
					? await inspectFile(named, options)
					: await withProgress(`Asking ${url.host}`, !options.json, () => inspectServer(url));
			const trust = await judgeChain(inspected.chain, options.config, url);
			const certificate = describeCertificate(inspected, trust);
			if (options.json) printJson(certificate);
			else print(describe(certificate));
		});
}

function describe(certificate: InspectedCertificate): string {
	const {subject, gridName, issuer, notBefore, notAfter, serialNumber, thumbprint} = certificate;
	const {source, names, proxy, chain, problems, warnings, otherCertificates, otherIdentities} = certificate;
	const rows: (readonly [string, string | undefined])[] = [
		['from', shortPath(source)],
		['grid name', gridName],
		['issuer', issuer],
		['alias', certificate.alias],
		['kind', describeKind(certificate)],
		['proxy', proxy && describeProxy(proxy)],
		['names', names],
		['valid', `from ${describeTime(notBefore)}`],
		['', `until ${describeTime(notAfter)}`],
		['key', describeKey(certificate)],
		['serial', serialNumber],
		['SHA-256', thumbprint],
		...chain.map(
			(one, index) =>
				[index === 0 ? 'chain' : '', `${one.subject}, until ${describeTime(one.notAfter)}`] as const,
		),
		...otherIdentities.map(
			({alias, subject: other, notAfter: end}, index) =>
				[
					index === 0 ? 'also here' : '',
					`${alias === undefined ? '' : `${alias}: `}${other}, until ${describeTime(end)}`,
				] as const,
		),
		[
			'besides',
			otherCertificates > 0 ? `${count(otherCertificates, 'certificate')} of no part in it` : undefined,
		],
		...describeTrust(certificate.trust),
	];
	const lines = rows.flatMap(([label, text]) =>
		text === undefined ? [] : [wrap(text, `  ${paint('dim', label.padEnd(11))} `)],
	);
	const mark = problems.length > 0 ? paint('red', '✖') : paint('green', '✔');
	return [
		`${mark} ${paint('bold', subject)}`,
		...lines,
		...problems.map(problem => wrap(problem, `${paint('red', '✖')} `)),
		...warnings.map(warning => wrap(warning, `${paint('yellow', '!')} `)),
	].join('\n');
}

function describeKind({kind, isAuthority, holder}: InspectedCertificate): string {
	if (holder !== undefined)
		return `proxy of ${holder.kind === undefined ? '' : `the ${holder.kind} `}${holder.subject}`;
	const told = isAuthority
		? [...(kind === undefined ? [] : [kind]), 'certificate authority']
		: [kind ?? 'not told'];
	return told.join(', ');
}

function describeProxy({type, isLimited, pathLength}: NonNullable<InspectedCertificate['proxy']>): string {
	const types = {rfc3820: 'RFC 3820', draft: 'Globus Toolkit 3', legacy: 'Globus Toolkit 2'};
	const more =
		pathLength === undefined
			? ''
			: `, ${count(pathLength, 'more proxy').replace('proxys', 'proxies')} may be made from it`;
	return `${types[type]}${isLimited ? ', limited' : ''}${more}`;
}

function describeKey({key}: InspectedCertificate): string {
	const {type, bits, curve, file, encrypted, mode} = key;
	const size = bits === undefined ? (curve === undefined ? '' : `, ${curve}`) : `, ${bits} bits`;
	const kind = `${type.toUpperCase().replace('ED25519', 'Ed25519')}${size}`;
	if (file === undefined) return `${kind}; the private key is elsewhere`;
	const protection = encrypted ? 'encrypted' : 'not encrypted';
	return `${kind}; ${protection}${mode === undefined ? '' : `, mode ${mode}`} (${shortPath(file)})`;
}

function describeTrust({outcome, trustedBy, revocation}: Omit<ChainTrust, 'problems'>): [string, string][] {
	const nobody =
		outcome === 'incomplete'
			? 'nobody here: its issuer is in no trust store, nor in the file'
			: 'nobody here: its root is in no trust store';
	const found = trustedBy.length === 0 ? [nobody] : trustedBy;
	const revoked = {
		good: 'not revoked',
		revoked: 'revoked',
		unknown: 'not known: there is no revocation list for it here',
	};
	return [
		...found.map((name, index): [string, string] => [index === 0 ? 'trusted by' : '', name]),
		['revocation', revoked[revocation]],
	];
}
