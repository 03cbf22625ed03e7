/** Do the hosts of the rules answer, and does their time agree? Asks them without any credential. */
import type {Configuration} from '../config/configuration.ts';
import {diagnostic, warning} from '../diagnostics/diagnostic.ts';
import {CertificateError} from '../errors.ts';
import {fileFetcher} from '../http/fetch-file.ts';
import {GotHttpClient} from '../http/http-client.ts';
import {TlsAgents} from '../tls/agents.ts';
import {explainTlsFailure, isRefusal} from '../tls/explain.ts';
import {TrustStores, usualListFolder} from '../trust/trust-stores.ts';
import {compareClocks} from './check-clock.ts';
import {type Finding, ok, told} from './finding.ts';

/** Milliseconds for one host. */
const timeout = 5000;

/** Ask every URL, all at once. */
export async function checkNetwork(
	urls: readonly URL[],
	{trust, environment}: Configuration,
): Promise<Finding[]> {
	const got = async () => (await import('got')).default;
	const trustStores = new TrustStores(trust, {
		fetchList: fileFetcher(got),
		listFolder: usualListFolder(environment),
	});
	const agents = new TlsAgents();
	const client = new GotHttpClient(got, trustStores, agents, {timeout, retries: 0});
	try {
		const findings = await Promise.all(urls.map(async url => ask(url, client, trustStores)));
		return withoutRepetition(findings.flat());
	} finally {
		agents.close();
		trustStores.close();
	}
}

/** That the clock agrees with one server's is enough to know. */
function withoutRepetition(findings: readonly Finding[]): Finding[] {
	const isGoodClock = ({check, outcome}: Finding): boolean => check === 'clock' && outcome === 'ok';
	const first = findings.find(isGoodClock);
	return findings.filter(finding => finding === first || !isGoodClock(finding));
}

async function ask(url: URL, client: GotHttpClient, trust: TrustStores): Promise<Finding[]> {
	const where = `${url.origin}${url.pathname}`;
	try {
		const {status, headers} = await client.fetch(url, {method: 'HEAD'});
		const reached = describeStatus(status, url, where);
		const date = headers.get('date');
		const clock = date === null ? undefined : compareClocks(date, Date.now(), where);
		return clock === undefined ? [reached] : [reached, clock];
	} catch (error) {
		return [describeFailure(error as Error & {code?: string}, url, where, trust)];
	}
}

/** A path that somebody wrote down is there; that a server has nothing at its root is usual. */
function describeStatus(status: number, {pathname}: URL, where: string): Finding {
	if ((status !== 404 && status !== 410) || pathname === '/')
		return ok('network', `it answers (${status})`, where);
	const what = `It answers ${status}: there is nothing at this address`;
	const hint = 'Check the path, unless it shows itself only to whoever has a credential';
	return told('network', warning({code: 'address-wrong', what, hint, where}));
}

function describeFailure(
	error: Error & {code?: string},
	url: URL,
	where: string,
	trust: TrustStores,
): Finding {
	// The server is there: it ends the handshake because it wants a client certificate, and none is shown here.
	if (isRefusal(error)) return ok('network', 'it answers, and demands a client certificate', where);
	const [found] = (error instanceof CertificateError ? error : explain(error, url, trust))?.diagnostics ?? [];
	if (found !== undefined) return told('network', found, {where});
	const hint = 'Check the URL, the network, and whether the server runs';
	return told('network', diagnostic({code: 'server-unreachable', what: error.message, hint, where}));
}

/** Why the trust store refuses the server, where it is that. */
function explain(error: Error, url: URL, trust: TrustStores): CertificateError | undefined {
	try {
		return explainTlsFailure(error, trust.find(url), undefined, url);
	} catch {
		return undefined;
	}
}
