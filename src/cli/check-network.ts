/** Do the hosts of the rules answer, and does their time agree? Asks them without any credential. */
import type {Configuration} from '../config/configuration.ts';
import {errorCodes} from '../errors.ts';
import {fileFetcher} from '../http/fetch-file.ts';
import {GotHttpClient} from '../http/http-client.ts';
import {TlsAgents} from '../tls/agents.ts';
import {explainTlsFailure, isRefusal} from '../tls/explain.ts';
import {TrustStores, usualListFolder} from '../trust/trust-stores.ts';
import {compareClocks} from './check-clock.ts';
import {type Finding, failed, ok, splitMend} from './finding.ts';

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
		const reached = ok('network', `it answers (${status})`, where);
		const date = headers.get('date');
		const clock = date === null ? undefined : compareClocks(date, Date.now(), where);
		return clock === undefined ? [reached] : [reached, clock];
	} catch (error) {
		return [describeFailure(error as Error & {code?: string}, url, where, trust)];
	}
}

function describeFailure(
	error: Error & {code?: string},
	url: URL,
	where: string,
	trust: TrustStores,
): Finding {
	// The server is there: it ends the handshake because it wants a client certificate, and none is shown here.
	if (isRefusal(error)) return ok('network', 'it answers, and demands a client certificate', where);
	// What the trust store has found says it all; the client has put the URL in front.
	if (error.code === errorCodes.CertificateError) {
		const {what, hint} = splitMend(error.message.replace(`${where}: `, ''));
		return failed('network', what, hint, where);
	}
	try {
		const explained = explainTlsFailure(error, trust.find(url), undefined, url);
		if (explained !== undefined) {
			const {what, hint} = splitMend(explained.message);
			return failed('network', what, hint, where);
		}
	} catch {}
	return failed('network', error.message, 'Check the URL, the network, and whether the server runs', where);
}
