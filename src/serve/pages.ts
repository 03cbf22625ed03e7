/** The proxy's own paths: `/-/health`, `/-/metrics`, and the status page `/-/`. */
import type {IncomingMessage, ServerResponse} from 'node:http';
import type {ProxyContext} from './context.ts';
import {metricsOf} from './metrics.ts';
import {answerProblem, type Problem} from './problem.ts';
import {readStatus} from './status.ts';
import {statusPage, statusScript, statusStyle} from './status-page.ts';

/** Nothing from elsewhere, nothing inline, in no frame. */
const policy =
	"default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const common = {
	'cache-control': 'no-store',
	'content-security-policy': policy,
	'x-content-type-options': 'nosniff',
	'x-frame-options': 'DENY',
	'referrer-policy': 'no-referrer',
	'cross-origin-opener-policy': 'same-origin',
	'cross-origin-resource-policy': 'same-origin',
};

/** @param refusal why the client may see no more than whether all is well; `undefined`: it may. */
export function answerOwn(
	context: ProxyContext,
	request: IncomingMessage,
	response: ServerResponse,
	pathname: string,
	refusal: Problem | undefined,
): void {
	// A monitor needs no secret to learn whether all is well, and a web page does not learn even that.
	const isForMonitor = pathname === '/-/health' && (refusal === undefined || refusal.status === 401);
	if (refusal !== undefined && !isForMonitor) {
		answerProblem(response, refusal);
		return;
	}
	if (request.method !== 'GET' && request.method !== 'HEAD') {
		answerProblem(response, {
			status: 405,
			code: 'method-refused',
			detail: 'The pages of the proxy are only to be read',
			hint: 'Use GET',
			headers: {allow: 'GET, HEAD'},
		});
		return;
	}
	const send = (status: number, type: string, body: string): void => {
		if (response.destroyed) return;
		response.writeHead(status, {
			...common,
			'content-type': type,
			'content-length': String(Buffer.byteLength(body)),
		});
		response.end(body);
	};
	const json = (status: number, value: unknown) =>
		send(status, 'application/json', `${JSON.stringify(value, null, '\t')}\n`);
	const fail = (error: unknown): void => {
		const detail = (error as Error).message;
		json(503, {status: 'fail', detail: refusal === undefined ? detail : 'not usable'});
	};
	switch (pathname) {
		case '/-/':
			send(200, 'text/html; charset=utf-8', statusPage);
			return;
		case '/-/status.css':
			send(200, 'text/css; charset=utf-8', statusStyle);
			return;
		case '/-/status.js':
			send(200, 'text/javascript; charset=utf-8', statusScript);
			return;
		case '/-/status.json':
			readStatus(context).then(status => json(200, status), fail);
			return;
		case '/-/metrics':
			metricsOf(context).then(text => send(200, 'text/plain; version=0.0.4; charset=utf-8', text), fail);
			return;
		case '/-/health':
			readStatus(context).then(({health, rules, reloadFailure}) => {
				const unusable = rules
					.filter(({available}) => !available)
					.map(({match, source, detail}) => ({match, source, detail}));
				const details = {unusable, ...(reloadFailure !== undefined && {reloadFailure})};
				json(health === 'ok' ? 200 : 503, {
					status: health === 'ok' ? 'pass' : 'fail',
					...(refusal === undefined && details),
				});
			}, fail);
			return;
		default:
			answerProblem(response, {
				status: 404,
				code: 'page-unknown',
				detail: 'The proxy has no such page',
				hint: 'There are /-/, /-/health and /-/metrics',
			});
	}
}
