/** What must have happened, by the servers' own records. */
import type {DemoServers} from './servers.ts';

export interface Check {
	readonly claim: string;
	readonly holds: boolean;
}

export function checkServers({identityProvider, runs, archive, wiki, mirror}: DemoServers): Check[] {
	return [
		{
			claim: 'The runs API let both requests in, for a token that is meant for it.',
			holds:
				runs.judgements.length === 2 &&
				runs.judgements.every(({status, audience}) => status < 400 && audience === 'runs'),
		},
		{
			claim: 'Single sign-on was asked for a token once.',
			holds: identityProvider.tokenRequests.map(({error}) => error ?? 'issued').join() === 'issued',
		},
		{
			claim:
				"The archive saw Alice's certificate both times, and never the token of the API that sent her there.",
			holds:
				archive.visits.length === 2 &&
				archive.visits.every(
					({certificate, authorization}) => certificate === 'CN=alice' && authorization === undefined,
				),
		},
		{
			claim: 'The wiki asked for a ticket, got one, and proved in return that it is the wiki.',
			holds: wiki.requests.map(({headers}) => 'authorization' in headers).join() === 'false,true',
		},
		{
			claim: 'The mirror, for which there is no rule, saw no certificate, no token and no cookie.',
			holds:
				mirror.visits.length === 1 &&
				mirror.visits.every(
					({certificate, authorization, cookie}) =>
						certificate === undefined && authorization === undefined && cookie === undefined,
				),
		},
	];
}

/** Whether the text is free of the client's secret and of everything that was shown in an Authorization header. */
export function checkOutput(text: string, {client, runs, wiki}: DemoServers): Check {
	const shown = [...runs.requests, ...wiki.requests].flatMap(({headers: {authorization}}) =>
		authorization === undefined ? [] : [String(authorization).replace(/^\S+ /, '')],
	);
	return {
		claim: `No secret is printed above: not the client's, and none of the ${shown.length} tokens and tickets sent.`,
		holds: shown.length === 3 && [client.clientSecret, ...shown].every(secret => !text.includes(secret)),
	};
}
