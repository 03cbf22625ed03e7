/** The fifth stage: whether a connection can be made, to each address of the host or of the proxy. */
import {promises as dns} from 'node:dns';
import {connect, isIP} from 'node:net';
import {type Diagnostic, warning} from '../diagnostics/diagnostic.ts';
import {ofNetwork} from './failures.ts';
import {type Found, placeOf, type Subject} from './stage.ts';

/** Milliseconds for one address. */
const patience = 5000;
/** Balancers have many addresses, which are all alike. */
const mostAddresses = 8;

interface Attempt {
	readonly address: string;
	/** Milliseconds. */
	readonly duration: number;
	readonly error?: Error & {code?: string};
}

export async function lookAtConnection({url, known}: Subject, signal: AbortSignal): Promise<Found> {
	const target = known.proxy ?? url;
	const {host, port} = placeOf(target);
	const attempts = await Promise.all(
		(await addressesOf(host)).map(address => attempt(address, port, signal)),
	);
	const failed = attempts.filter(({error}) => error !== undefined);
	const evidence = {
		...(known.proxy !== undefined && {to: `the proxy ${known.proxy.origin}`}),
		addresses: attempts.map(describe),
	};
	const [first] = failed;
	if (first?.error === undefined) return {evidence};
	if (failed.length < attempts.length)
		return {evidence, diagnostics: failed.map(one => oneFails(one, target.host))};
	const told = ofNetwork(first.error, target.host);
	return {
		evidence,
		// Where a proxy is the only way out, that it is left out is the cause.
		diagnostics: known.wayDoubt === undefined ? [told] : [{...known.wayDoubt, severity: 'error'}, told],
	};
}

async function addressesOf(host: string): Promise<string[]> {
	if (isIP(host) !== 0) return [host];
	const found = await dns.lookup(host, {all: true, order: 'verbatim'});
	return found.slice(0, mostAddresses).map(({address}) => address);
}

function attempt(address: string, port: number, signal: AbortSignal): Promise<Attempt> {
	const begun = performance.now();
	return new Promise(resolve => {
		const socket = connect({host: address, port, signal});
		const settle = (error?: Error): void => {
			socket.destroy();
			resolve({address, duration: performance.now() - begun, ...(error !== undefined && {error})});
		};
		socket.setTimeout(patience, () => settle(Object.assign(new Error('no answer'), {code: 'ETIMEDOUT'})));
		socket.once('connect', () => settle());
		socket.on('error', settle);
	});
}

function describe({address, duration, error}: Attempt): string {
	return error === undefined
		? `${address}: connected in ${Math.ceil(duration)} ms`
		: `${address}: ${error.code ?? error.name} after ${Math.ceil(duration)} ms`;
}

/** Some clients try one address after the other; some take the first, and fail. */
function oneFails({address, error}: Attempt, host: string): Diagnostic {
	const family = isIP(address) === 6 ? 'IPv6' : 'IPv4';
	return warning({
		code: 'address-unreachable',
		what: `The ${family} address ${address} of ${host} cannot be reached (${error?.code ?? error?.name}), another one can`,
		hint: `If the host does not serve there, have the address taken out of its DNS entry; else check this machine's ${family}`,
	});
}
