/**
 * Spans and metrics for OpenTelemetry, made from the events of one gatepass. Names, units and the status of spans are
 * those of its semantic conventions for HTTP clients, and of its rules for names, where there are any.
 */
import type {Attributes, Counter, Histogram, Meter, Tracer} from '@opentelemetry/api';
import {ConfigurationError} from '../errors.ts';
import type {EventListener, EventName, EventPayloads} from './events.ts';

/** The part of `@opentelemetry/api` that is used. */
export type OpenTelemetryApi = Pick<
	typeof import('@opentelemetry/api'),
	'trace' | 'metrics' | 'SpanKind' | 'SpanStatusCode'
>;

/**
 * A listener that records events through the optional peer `@opentelemetry/api`.
 *
 * @throws {ConfigurationError} where the peer is not installed.
 */
export async function recordTelemetry(): Promise<EventListener> {
	let api: OpenTelemetryApi;
	try {
		api = await import('@opentelemetry/api');
	} catch (error) {
		throw new ConfigurationError(
			[
				{
					path: 'telemetry',
					message: 'the package @opentelemetry/api is not installed',
					hint: "Run 'npm install @opentelemetry/api', or leave 'telemetry' out",
					code: 'package-missing',
				},
			],
			{cause: error},
		);
	}
	const recorder = new Recorder(api);
	return (name, payload) => recorder.record(name, payload);
}

/** The methods that the conventions know; any other is `_OTHER`, so that nobody can make up values without end. */
const knownMethods = ['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE'];

/** What the conventions advise for durations of HTTP requests, in seconds. */
const advice = {
	explicitBucketBoundaries: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
};

type TokenEventName = Extract<EventName, `gatepass:token:${string}`>;

const certificate = 'gatepass:certificate:';

function isAboutCertificate(name: EventName): boolean {
	return name.startsWith(certificate);
}

class Recorder {
	readonly #api: OpenTelemetryApi;
	readonly #tracer: Tracer;
	readonly #legs: Histogram;
	readonly #requests: Histogram;
	readonly #tokenRequests: Histogram;
	readonly #tokenEvents: Counter;
	readonly #certificateEvents: Counter;
	readonly #trustEvents: Counter;

	constructor(api: OpenTelemetryApi) {
		this.#api = api;
		this.#tracer = api.trace.getTracer('gatepass');
		const meter: Meter = api.metrics.getMeter('gatepass');
		this.#legs = meter.createHistogram('http.client.request.duration', {
			unit: 's',
			advice,
			description: 'Duration of HTTP client requests',
		});
		this.#requests = meter.createHistogram('gatepass.request.duration', {
			unit: 's',
			advice,
			description: 'From the choice of the rule to the head of the response',
		});
		this.#tokenRequests = meter.createHistogram('gatepass.token.duration', {
			unit: 's',
			advice,
			description: 'Fetching a token from its issuer',
		});
		this.#tokenEvents = meter.createCounter('gatepass.token.events', {
			description: 'Tokens issued, renewed, served, dropped, and failures',
		});
		this.#certificateEvents = meter.createCounter('gatepass.certificate.events', {
			description: 'Certificates replaced, about to end, and failures to take one up',
		});
		this.#trustEvents = meter.createCounter('gatepass.trust.events', {
			description: 'Files of trust stores that cannot be used',
		});
	}

	record<Name extends EventName>(name: Name, payload: EventPayloads[Name]): void {
		if (name === 'gatepass:leg') this.#recordLeg(payload as EventPayloads['gatepass:leg']);
		else if (name === 'gatepass:request') this.#recordRequest(payload as EventPayloads['gatepass:request']);
		else if (isAboutCertificate(name))
			this.#certificateEvents.add(1, {'gatepass.certificate.event': name.slice(certificate.length)});
		else if (name === 'gatepass:strategy:notice') return;
		else if (name === 'gatepass:trust:error') this.#trustEvents.add(1, {'gatepass.trust.event': 'error'});
		else this.#recordToken(name, payload as EventPayloads[TokenEventName]);
	}

	/** A span for each time that a request is sent, and none around them: the conventions want it so. */
	#recordLeg({
		method,
		url,
		query,
		rule,
		status,
		failure: code,
		resends,
		duration,
	}: EventPayloads['gatepass:leg']): void {
		const {isKnown, attributes, failure} = describe(method, url, status, code);
		this.#legs.record(duration / 1000, attributes);
		this.#span(isKnown ? method : 'HTTP', duration, failure !== undefined, {
			...attributes,
			...(!isKnown && {'http.request.method_original': method}),
			...(resends > 0 && {'http.request.resend_count': resends}),
			'url.full': url + query,
			...ofRule(rule),
		});
	}

	#recordRequest({method, url, rule, status, legs, duration}: EventPayloads['gatepass:request']): void {
		const {attributes, failure} = describe(method, url, status, undefined);
		const all = {...attributes, ...ofRule(rule)};
		this.#requests.record(duration / 1000, all);
		// Where nothing was sent, a trace would not show that a request was made.
		if (legs === 0) this.#span('gatepass request', duration, failure !== undefined, all, 'INTERNAL');
	}

	#recordToken(name: EventName, payload: EventPayloads[TokenEventName]): void {
		const event = name.slice('gatepass:token:'.length);
		this.#tokenEvents.add(1, {'gatepass.token.event': event});
		if (!('duration' in payload) || payload.duration === undefined) return;
		const error = 'error' in payload ? payload.error : undefined;
		const attributes: Attributes = {
			'gatepass.token.event': event,
			...(error !== undefined && {'error.type': error.code}),
		};
		this.#tokenRequests.record(payload.duration / 1000, attributes);
		this.#span('gatepass token request', payload.duration, error !== undefined, attributes);
	}

	/** What has happened is known at its end only; the span is dated back. `duration`: milliseconds. */
	#span(
		name: string,
		duration: number,
		failed: boolean,
		attributes: Attributes,
		kind: 'CLIENT' | 'INTERNAL' = 'CLIENT',
	): void {
		const end = Date.now();
		const span = this.#tracer.startSpan(name, {
			kind: this.#api.SpanKind[kind],
			startTime: end - duration,
			attributes,
		});
		if (failed) span.setStatus({code: this.#api.SpanStatusCode.ERROR});
		span.end(end);
	}
}

/** What spans and metrics of a request have in common. */
function describe(
	method: string,
	url: string,
	status: number | undefined,
	error: string | undefined,
): {isKnown: boolean; failure: string | undefined; attributes: Attributes} {
	const {hostname, port, protocol} = new URL(url);
	const isKnown = knownMethods.includes(method);
	const failure = status === undefined ? (error ?? '_OTHER') : status >= 400 ? String(status) : undefined;
	const attributes = {
		'http.request.method': isKnown ? method : '_OTHER',
		'server.address': hostname,
		'server.port': port === '' ? (protocol === 'http:' ? 80 : 443) : Number(port),
		...(status !== undefined && {'http.response.status_code': status}),
		...(failure !== undefined && {'error.type': failure}),
	};
	return {isKnown, failure, attributes};
}

function ofRule({strategy, match}: EventPayloads['gatepass:leg']['rule']): Attributes {
	return {'gatepass.strategy': strategy, 'gatepass.rule': match};
}
