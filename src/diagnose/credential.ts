/** The second stage: the credential of the rule, as far as this machine knows it. Asks no server. */
import {X509Certificate} from 'node:crypto';
import {statSync} from 'node:fs';
import {diagnostic, warning} from '../diagnostics/diagnostic.ts';
import {GatepassError} from '../errors.ts';
import type {AuthStrategy, CredentialStatus, Evidence, Identity} from '../strategy/index.ts';
import {usesOf} from '../x509/client-purpose.ts';
import {rfc2253Issuer, rfc2253Subject} from '../x509/names.ts';
import {pemBlocks} from '../x509/pem.ts';
import type {Found, Subject} from './stage.ts';

export async function lookAtCredential({rule, known}: Subject): Promise<Found> {
	if (rule === undefined) return {skipped: 'no rule matches, so no credential is shown'};
	if (!rule.carriesCredential) return {skipped: `the rule's strategy is '${rule.info.strategy}'`};
	const status = await statusOf(rule.strategy);
	const {available, detail, expiresAt, notes, identity} = status;
	known.identity = identity;
	const evidence: Evidence = {
		credential: detail,
		...(expiresAt !== undefined && {expires: new Date(expiresAt).toISOString()}),
		...(notes !== undefined && {notes}),
		...(identity !== undefined && describeIdentity(identity)),
		...status.evidence,
	};
	const told =
		status.diagnostics ??
		(status.warnings ?? []).map(what => warning({code: 'credential-doubtful', what, hint: ''}));
	const isTold = told.some(({severity}) => severity === 'error');
	const missing = diagnostic({
		code: 'credential-unavailable',
		what: `The rule for ${rule.info.match} (${rule.info.source}) has no credential: ${detail}`,
		hint: "See what 'gatepass status' says of it",
	});
	return {evidence, diagnostics: available || isTold ? told : [missing, ...told]};
}

/** @throws {GatepassError} why there is none. */
async function statusOf(strategy: AuthStrategy): Promise<CredentialStatus> {
	try {
		return (await strategy.status?.()) ?? {available: true, detail: 'the strategy does not say'};
	} catch (error) {
		// What a strategy of the user's throws may say anything.
		if (error instanceof GatepassError) throw error;
		return {available: true, detail: 'the strategy failed to tell'};
	}
}

function describeIdentity(identity: Identity): Evidence {
	const {subject, issuer, files, kind, notBefore, notAfter} = identity;
	const chain = pemBlocks(Buffer.from(identity.material().cert)).map(
		({base64}) => new X509Certificate(Buffer.from(base64, 'base64')),
	);
	const [leaf, ...others] = chain;
	return {
		subject,
		issuer,
		...(kind !== undefined && {kind}),
		certificate: describeFile(files.certificate),
		...(files.key !== files.certificate && {key: describeFile(files.key)}),
		valid: `${new Date(notBefore).toISOString()} to ${new Date(notAfter).toISOString()}`,
		...(leaf !== undefined && {uses: describeUses(leaf)}),
		...(others.length > 0 && {
			chain: others.map(one => `${rfc2253Subject(one)}, by ${rfc2253Issuer(one)}; ${describeUses(one)}`),
		}),
	};
}

function describeUses(certificate: X509Certificate): string {
	const uses = usesOf(certificate);
	return uses === undefined ? 'for any use' : `for ${uses.join(', ') || 'nothing'}`;
}

/** Who owns it, and who may read it. */
function describeFile(file: string): string {
	const status = statSync(file, {throwIfNoEntry: false});
	if (status === undefined) return file;
	return `${file} (owner ${status.uid}, mode 0${(status.mode & 0o777).toString(8).padStart(3, '0')})`;
}
