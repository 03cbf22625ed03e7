/**
 * What a caller gave for TLS is for the origin for which it was given: a client certificate, and what was allowed one
 * request. It must not follow a request elsewhere, on whatever way that gets there: by a redirect, a page, a retry with
 * other options, or a hook that changes the URL. Nor must `Authorization` and `Cookie`, where got leaves them.
 *
 * got merges the options of instances and requests into one, and copies them for each hop. So what one request gave
 * itself is marked in its context, whose symbols go along with each copy.
 */
import type {RequestOptions} from 'node:http';
import type {NormalizedOptions, OptionsInit} from 'got';
import {HttpAgent} from '../../tls/node-http.ts';

/** What a caller may give for verification, by got's names and Node's. */
const verification = {
	rejectUnauthorized: 'rejectUnauthorized',
	checkServerIdentity: 'checkServerIdentity',
	certificateAuthority: 'ca',
	serverName: 'servername',
} as const;
/** The client certificate. */
const certificate = {certificate: 'cert', key: 'key', pfx: 'pfx', passphrase: 'passphrase'} as const;
/** Headers that hold a credential. */
const credentials = ['authorization', 'cookie', 'proxy-authorization'] as const;

/** Pairs of the two names, made once: each hop looks at them. */
const verificationNames = Object.entries(verification);
const certificateNames = Object.entries(certificate);

type GotName = keyof typeof verification | keyof typeof certificate | 'agent';

const gotNames = [...Object.keys(verification), ...Object.keys(certificate)] as GotName[];

/** Which options one request gave itself, and the origin for which it did. */
interface Given {
	readonly names: readonly GotName[];
	origin?: string;
}

/** Where the way of a request began. */
interface Journey {
	origin?: string;
}

/** got's options, as far as they matter here. Instances never come to have a URL. */
interface Holder {
	readonly url?: unknown;
	readonly context: object;
}

export const given: unique symbol = Symbol('gatepass.given');
export const journey: unique symbol = Symbol('gatepass.journey');

/** What is noted in got's context. */
export interface Marks {
	[given]?: Given;
	[journey]?: Journey;
}

/** What nobody is to print: whose the marks are, and what was given. */
export const holders = new WeakMap<Given | Journey, Holder>();
const givenValues = new WeakMap<Given, Readonly<Record<string, unknown>>>();
const headersAtHome = new WeakMap<Journey, Readonly<Record<string, unknown>>>();

const isOfRequest = (mark: Given | Journey | undefined): boolean =>
	mark !== undefined && (mark.origin !== undefined || holders.get(mark)?.url instanceof URL);

/** What got calls as its `init` hook, for instances as for requests. */
export function markGiven(request: OptionsInit, options: Holder): void {
	const marks = options.context as Marks;
	// Options that are merged in later, as for a page, belong to the same journey.
	if (!isOfRequest(marks[journey])) marks[journey] = markFor({}, options);
	const https = (request.https ?? {}) as Record<string, unknown>;
	const names = gotNames.filter(name => https[name] !== undefined);
	if (request.agent?.https) names.push('agent');
	if (names.length === 0) return;
	const mark = markFor<Given>({names}, options);
	givenValues.set(mark, https);
	marks[given] = mark;
}

function markFor<Mark extends Given | Journey>(mark: Mark, options: Holder): Mark {
	holders.set(mark, options);
	return mark;
}

/** Once per hop, before hooks of the caller can change the URL. */
export function settleOrigins(options: NormalizedOptions): void {
	const {url, headers} = options;
	if (!(url instanceof URL)) return;
	const marks = options.context as Marks;
	if (!isOfRequest(marks[journey])) marks[journey] = markFor({}, options);
	const [way, mark] = [marks[journey] as Journey, marks[given]];
	if (way.origin === undefined) {
		way.origin = url.origin;
		headersAtHome.set(way, Object.fromEntries(credentials.map(name => [name, headers[name]])));
	}
	if (mark !== undefined && isOfRequest(mark)) mark.origin ??= url.origin;
}

/**
 * Take out of Node's options what is for another origin.
 *
 * @param isVerified whether a rule or a trust store is for the URL: then instances have no say in how it is verified.
 * @returns whether there was any.
 */
export function keepToOrigin(
	native: RequestOptions,
	url: URL,
	{context}: Pick<NormalizedOptions, 'context'>,
	isVerified: boolean,
): boolean {
	const {[given]: mark, [journey]: way} = context as Marks;
	const isHome = way?.origin === undefined || way.origin === url.origin;
	const isGiven = (name: string): boolean => mark?.names.includes(name as GotName) === true;
	const isGivenHere = (name: string): boolean => isGiven(name) && mark?.origin === url.origin;
	const record = native as Record<string, unknown>;
	let isChanged = false;
	const drop = (holder: Record<string, unknown>, name: string): void => {
		delete holder[name];
		isChanged = true;
	};
	for (const [name, nodes] of verificationNames) {
		if (record[nodes] === undefined || isGivenHere(name)) continue;
		// What an instance or a hook says holds where nothing of gatepass is said.
		const isForAnother = isGiven(name) && mark && givenValues.get(mark)?.[name] === record[nodes];
		if (isVerified || isForAnother) drop(record, nodes);
	}
	for (const [name, nodes] of certificateNames) {
		if (record[nodes] !== undefined && !(isGiven(name) ? isGivenHere(name) : isHome)) drop(record, nodes);
	}
	const agent = agentOf(record.agent);
	const isAgentHere = isGiven('agent') ? isGivenHere('agent') : isHome;
	if (!isAgentHere && agent !== undefined && holdsCertificate(agent)) {
		dropAgent(record);
		isChanged = true;
	}
	if (isHome || way === undefined) return isChanged;
	const headers = (native.headers ?? {}) as Record<string, unknown>;
	for (const name of credentials) {
		// One that was set for this origin is another.
		if (headers[name] !== undefined && headers[name] === headersAtHome.get(way)?.[name]) drop(headers, name);
	}
	return isChanged;
}

/** got's own HTTP/2 keeps its agents in an object. */
function agentOf(agent: unknown): object | undefined {
	if (agent instanceof HttpAgent) return agent;
	const {https} = (agent ?? {}) as {https?: unknown};
	return typeof https === 'object' && https !== null ? https : undefined;
}

function dropAgent(record: Record<string, unknown>): void {
	if (record.agent instanceof HttpAgent) delete record.agent;
	else record.agent = {...(record.agent as object), https: undefined};
}

/** Whether an agent has anything that is for one server. */
function holdsCertificate(agent: object): boolean {
	const {options} = agent as {options?: Record<string, unknown>};
	return ['cert', 'key', 'pfx', 'secureContext', 'servername'].some(name => options?.[name] !== undefined);
}
