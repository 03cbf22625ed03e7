/** Puts together what is known of each hop: from gatepass, which rule and credential; from the server, what it saw. */
import {basename} from 'node:path';
import type {Gatepass, RuleStatus} from 'gatepass';
import type {Observer} from './servers.ts';

export interface Hop {
	/** Name of the server. */
	readonly server: string;
	/** Method and path. */
	readonly request: string;
	/** `file:line`; empty where no rule matches. */
	readonly rule: string;
	readonly strategy?: string;
	readonly credential?: string;
	/** A line for each time that the server was asked. */
	readonly saw: readonly string[];
}

/** The hops of one request: its URL, and every URL that it was redirected to. */
export async function describeHops(
	gatepass: Gatepass,
	urls: readonly (string | URL)[],
	servers: readonly Observer[],
	home: string,
): Promise<Hop[]> {
	const status = await gatepass.status();
	return urls.map(url => {
		const {origin, pathname} = new URL(url);
		const server = servers.find(({url}) => url === origin);
		if (server === undefined) throw new Error(`no server of the demo has the URL ${origin}`);
		const {rule} = gatepass.explain(url);
		const hop = {server: server.name, request: `GET ${pathname}`, saw: server.saw(pathname)};
		if (rule === undefined) return {...hop, rule: ''};
		const credential = describeCredential(status.find(({source}) => source === rule.source));
		return {
			...hop,
			rule: basename(rule.source),
			strategy: rule.strategy,
			credential: credential.replaceAll(home, '~'),
		};
	});
}

function describeCredential(status: RuleStatus | undefined): string {
	if (status === undefined) return 'unknown';
	const {detail, expiresAt} = status;
	return expiresAt === undefined ? detail : `${detail}, expires ${describeDistance(expiresAt - Date.now())}`;
}

function describeDistance(milliseconds: number): string {
	const format = new Intl.RelativeTimeFormat('en', {numeric: 'always'});
	const minutes = Math.round(milliseconds / 60_000);
	return minutes < 90 ? format.format(minutes, 'minute') : format.format(Math.round(minutes / 60), 'hour');
}
