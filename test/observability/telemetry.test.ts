/** Spans and metrics, as OpenTelemetry's own SDK records them. */
import {AsyncLocalStorage} from 'node:async_hooks';
import {setImmediate as immediate} from 'node:timers/promises';
import {
	type Context,
	type ContextManager,
	context,
	metrics,
	ROOT_CONTEXT,
	SpanKind,
	SpanStatusCode,
	trace,
} from '@opentelemetry/api';
import {
	AggregationTemporality,
	DataPointType,
	InMemoryMetricExporter,
	MeterProvider,
	PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor} from '@opentelemetry/sdk-trace-base';
import {interceptors, request} from 'undici';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {CertificateError, type Gatepass} from '../../src/index.ts';
import {recordTelemetry} from '../../src/observability/telemetry.ts';
import {type Stage, setStage} from './setup.ts';

/** Carries the active span along, as the SDK for Node does. */
class AsyncContext implements ContextManager {
	readonly #storage = new AsyncLocalStorage<Context>();
	active = (): Context => this.#storage.getStore() ?? ROOT_CONTEXT;
	with: ContextManager['with'] = (active, work, self, ...values) =>
		this.#storage.run(active, () => work.call(self as never, ...values));
	bind: ContextManager['bind'] = (_, target) => target;
	enable = (): this => this;
	disable = (): this => this;
}

let stage: Stage;
let spans: InMemorySpanExporter;
let reader: PeriodicExportingMetricReader;
beforeEach(async () => {
	stage = await setStage();
	spans = new InMemorySpanExporter();
	trace.setGlobalTracerProvider(new BasicTracerProvider({spanProcessors: [new SimpleSpanProcessor(spans)]}));
	const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
	reader = new PeriodicExportingMetricReader({exporter, exportIntervalMillis: 3_600_000});
	metrics.setGlobalMeterProvider(new MeterProvider({readers: [reader]}));
	context.setGlobalContextManager(new AsyncContext());
});
afterEach(async () => {
	vi.useRealTimers();
	for (const api of [trace, metrics, context]) api.disable();
	await reader.shutdown();
});

const finished = () =>
	spans
		.getFinishedSpans()
		.map(({name, kind, attributes, status}) => ({name, kind, attributes, status: status.code}));

test('each leg is a span, with the names of the semantic conventions', async () => {
	const {got} = await stage.createClient({telemetry: true});
	await got(`${stage.api.url}/kerberos/to-key?color=blue&sig=a-secret&X-Amz-Signature=a-secret&a-secret`);
	const common = {
		'http.request.method': 'GET',
		'server.address': '127.0.0.1',
		'server.port': Number(new URL(stage.api.url).port),
	};
	const toKerberos = {
		...common,
		'gatepass.strategy': 'kerberos-stub',
		'gatepass.rule': `${stage.api.url}/kerberos`,
		'url.full': `${stage.api.url}/kerberos/to-key?color=blue&sig=REDACTED&X-Amz-Signature=REDACTED&REDACTED`,
	};
	expect(finished()).toEqual([
		{
			name: 'GET',
			kind: SpanKind.CLIENT,
			status: SpanStatusCode.ERROR,
			attributes: {...toKerberos, 'http.response.status_code': 401, 'error.type': '401'},
		},
		{
			name: 'GET',
			kind: SpanKind.CLIENT,
			status: SpanStatusCode.UNSET,
			attributes: {...toKerberos, 'http.response.status_code': 302, 'http.request.resend_count': 1},
		},
		{
			name: 'GET',
			kind: SpanKind.CLIENT,
			status: SpanStatusCode.UNSET,
			attributes: {
				...common,
				'http.response.status_code': 200,
				// For any reason, redirects included: so the conventions have it.
				'http.request.resend_count': 2,
				'gatepass.strategy': 'static-token',
				'gatepass.rule': `${stage.api.url}/key`,
				// What the strategy adds to the query is not in it.
				'url.full': `${stage.api.url}/key/200`,
			},
		},
	]);
});

test.each([
	['got', (gatepass: Gatepass, url: string) => gatepass.got(url)],
	['fetch', (gatepass: Gatepass, url: string) => gatepass.fetch(url)],
	['undici', (gatepass: Gatepass, url: string) => request(url, {dispatcher: gatepass.dispatcher})],
	[
		'flow',
		async (gatepass: Gatepass, url: string) => {
			const flow = await gatepass.flow(url);
			let leg: {url: string; headers: Record<string, string>} | undefined = flow;
			while (leg !== undefined) {
				const {status, headers} = await fetch(leg.url, {headers: leg.headers});
				leg = await flow.next({status, headers});
			}
		},
	],
] as const)('so it is by %s: a span and a measurement each', async (_name, send) => {
	const gatepass = await stage.createClient({telemetry: true});
	await send(gatepass, `${stage.api.url}/kerberos/200`);
	expect(finished().map(({attributes}) => attributes['http.request.resend_count'])).toEqual([undefined, 1]);
	const {resourceMetrics} = await reader.collect();
	const [metric] = resourceMetrics.scopeMetrics
		.flatMap(({metrics}) => metrics)
		.filter(({descriptor}) => descriptor.name === 'http.client.request.duration');
	expect(metric?.descriptor.unit).toBe('s');
	expect(metric?.dataPoints.map(({attributes}) => attributes['http.response.status_code']).sort()).toEqual([
		200, 401,
	]);
});

test.each([
	['got', (gatepass: Gatepass, url: string) => gatepass.got(url)],
	['fetch', (gatepass: Gatepass, url: string) => gatepass.fetch(url)],
	[
		"undici's interceptor",
		(gatepass: Gatepass, url: string) =>
			request(url, {dispatcher: gatepass.dispatcher.compose(interceptors.redirect({maxRedirections: 2}))}),
	],
] as const)(
	'by %s, what a redirect leads to is counted on, and the next request begins anew',
	async (_name, send) => {
		const gatepass = await stage.createClient({telemetry: true});
		for (let time = 0; time < 2; time += 1) {
			spans.reset();
			await send(gatepass, `${stage.api.url}/kerberos/to-key`);
			const counts = finished().map(({attributes}) => attributes['http.request.resend_count']);
			// Kerberos is asked for its token once.
			expect(counts).toEqual([undefined, 1, 2]);
		}
	},
);

test('a retry of got is counted on, too', async () => {
	const {got} = await stage.createClient({telemetry: true});
	const retry = {limit: 1, calculateDelay: ({computedValue}: {computedValue: number}) => computedValue && 1};
	await got(`${stage.api.url}/key/503`, {retry}).catch(() => {});
	expect(finished().map(({attributes}) => attributes['http.request.resend_count'])).toEqual([undefined, 1]);
});

test.each([
	['got', 'sso', (gatepass: Gatepass, url: string) => gatepass.got(url, {retry: {limit: 0}}).text()],
	['undici', 'sso', (gatepass: Gatepass, url: string) => get(gatepass, url)],
	['undici, with a conversation', 'key', (gatepass: Gatepass, url: string) => get(gatepass, url)],
] as const)(
	'what is sent again since it reached nobody is a span of its own, by %s',
	async (_name, rule, send) => {
		const gatepass = await stage.createClient({telemetry: true});
		await send(gatepass, `${stage.api.url}/${rule}/200`);
		spans.reset();
		// The client is told the end of an answer before its connection is free.
		await immediate();
		// Over the same connection, which the server closes without a word.
		await send(gatepass, `${stage.api.url}/${rule}/cut-off`).catch(() => {});
		expect(finished().map(({attributes}) => attributes['http.request.resend_count'])).toEqual([undefined, 1]);
		const [lost] = finished();
		expect(lost?.status).toBe(SpanStatusCode.ERROR);
		expect(lost?.attributes['error.type']).toMatch(/^(?:ECONNRESET|UND_ERR_SOCKET)$/);
	},
);

async function get(gatepass: Gatepass, url: string): Promise<string> {
	const {body} = await request(url, {dispatcher: gatepass.dispatcher});
	return body.text();
}

test('a leg that fails has the status of an error, and its code', async () => {
	const {got} = await stage.createClient({telemetry: true});
	await got(`${stage.api.url}/key/cut-off`, {retry: {limit: 0}}).catch(() => {});
	expect(finished()).toMatchObject([
		{name: 'GET', status: SpanStatusCode.ERROR, attributes: {'error.type': 'ECONNRESET'}},
	]);
});

test('where nothing is sent, the trace shows that all the same', async () => {
	stage.endpoint.failure = {status: 400, error: 'invalid_client'};
	const {got} = await stage.createClient({telemetry: true});
	await got(`${stage.api.url}/sso/200`).catch(() => {});
	expect(finished()).toMatchObject([
		{name: 'gatepass token request', status: SpanStatusCode.ERROR},
		{name: 'gatepass request', kind: SpanKind.INTERNAL, status: SpanStatusCode.ERROR},
	]);
});

test('so has one that is refused, with its status as the type of the error', async () => {
	const {got} = await stage.createClient({telemetry: true});
	await got(`${stage.api.url}/key/403`, {throwHttpErrors: false});
	expect(finished()).toMatchObject([{status: SpanStatusCode.ERROR, attributes: {'error.type': '403'}}]);
});

test('a method that nobody knows adds no value to metrics', async () => {
	const record = await recordTelemetry();
	const rule = {match: '*', strategy: 'none', source: 'a test'};
	const about = {url: 'https://api.example.org/x', query: '', rule, status: 200, resends: 0, duration: 20};
	record('gatepass:leg', {...about, method: 'PROPFIND'});
	const {resourceMetrics} = await reader.collect();
	const [point] = resourceMetrics.scopeMetrics.flatMap(({metrics}) => metrics)[0]?.dataPoints ?? [];
	expect(point).toMatchObject({
		attributes: {'http.request.method': '_OTHER', 'server.port': 443},
		value: {sum: 0.02},
	});
	expect(finished()).toMatchObject([
		{name: 'HTTP', attributes: {'http.request.method_original': 'PROPFIND'}},
	]);
});

const millisecondsOf = ([seconds, nanoseconds]: [number, number]): number =>
	seconds * 1000 + nanoseconds / 1e6;

test('spans last as long as what they tell of', async () => {
	const {got} = await stage.createClient({telemetry: true});
	stage.endpoint.holdsBack = true;
	const request = got(`${stage.api.url}/sso/200`);
	await stage.endpoint.untilRequest(1);
	const waited = 100;
	setTimeout(() => stage.endpoint.answer(), waited);
	await request;
	const [token, sent] = spans
		.getFinishedSpans()
		.map(({duration, startTime, endTime}) => [duration, startTime, endTime].map(millisecondsOf));
	const rounding = 5;
	expect(token?.[0]).toBeGreaterThanOrEqual(waited - rounding);
	// The request itself was sent once the token was there.
	expect(sent?.[1]).toBeGreaterThanOrEqual((token?.[2] as number) - rounding);
});

test('a token request is one, whether it succeeds, renews or fails', async () => {
	vi.useFakeTimers({toFake: ['Date']});
	const {got} = await stage.createClient({telemetry: true});
	const tokenSpans = () => finished().filter(({name}) => name === 'gatepass token request');
	await got(`${stage.api.url}/sso/200`);
	vi.setSystemTime(Date.now() + 0.8 * stage.endpoint.lifetime);
	await got(`${stage.api.url}/sso/200`);
	await expect.poll(() => tokenSpans().length).toBe(2);
	stage.refused.add('token-2');
	stage.endpoint.failure = {status: 400, error: 'invalid_client'};
	await got(`${stage.api.url}/sso/200`).catch(() => {});
	const failed = {'gatepass.token.event': 'error', 'error.type': 'ERR_GATEPASS_TOKEN_REQUEST'};
	expect(tokenSpans()).toEqual([
		{
			name: 'gatepass token request',
			kind: SpanKind.CLIENT,
			attributes: {'gatepass.token.event': 'issue'},
			status: SpanStatusCode.UNSET,
		},
		{
			name: 'gatepass token request',
			kind: SpanKind.CLIENT,
			attributes: {'gatepass.token.event': 'refresh'},
			status: SpanStatusCode.UNSET,
		},
		{name: 'gatepass token request', kind: SpanKind.CLIENT, attributes: failed, status: SpanStatusCode.ERROR},
	]);
});

test('they hang below the span of whoever makes the request', async () => {
	const {got} = await stage.createClient({telemetry: true});
	const tracer = trace.getTracer('a service');
	for (const path of ['/sso/200', '/kerberos/to-sso', '/key/cut-off']) {
		await tracer.startActiveSpan(`serve ${path}`, async span => {
			await got(`${stage.api.url}${path}`, {retry: {limit: 0}}).catch(() => {});
			span.end();
		});
	}
	const all = spans.getFinishedSpans();
	const parentOf = (span: (typeof all)[number]) =>
		all.find(other => other.spanContext().spanId === span.parentSpanContext?.spanId)?.name;
	expect(all.filter(({name}) => !name.startsWith('serve')).map(span => [span.name, parentOf(span)])).toEqual([
		['gatepass token request', 'serve /sso/200'],
		['GET', 'serve /sso/200'],
		['GET', 'serve /kerberos/to-sso'],
		['GET', 'serve /kerberos/to-sso'],
		['GET', 'serve /kerberos/to-sso'],
		// Over the connection of the requests before, and again over a new one.
		['GET', 'serve /key/cut-off'],
		['GET', 'serve /key/cut-off'],
	]);
});

test('metrics count tokens and measure requests', async () => {
	const {got} = await stage.createClient({telemetry: true});
	for (let count = 0; count < 3; count++) await got(`${stage.api.url}/sso/200`);
	stage.refused.add('token-1');
	await got(`${stage.api.url}/sso/200`);
	const {resourceMetrics} = await reader.collect();
	const byName = new Map(
		resourceMetrics.scopeMetrics.flatMap(({metrics}) =>
			metrics.map(metric => [metric.descriptor.name, metric]),
		),
	);
	expect([...byName.keys()].sort()).toEqual([
		'gatepass.request.duration',
		'gatepass.token.duration',
		'gatepass.token.events',
		'http.client.request.duration',
	]);
	const events = byName.get('gatepass.token.events');
	expect(
		events?.dataPoints.map(({attributes, value}) => [attributes['gatepass.token.event'], value]),
	).toEqual([
		['issue', 2],
		['hit', 3],
		['invalidate', 1],
	]);
	const requests = byName.get('gatepass.request.duration');
	expect(requests?.dataPointType).toBe(DataPointType.HISTOGRAM);
	expect(requests?.descriptor.unit).toBe('s');
	expect(requests?.dataPoints).toMatchObject([
		{
			attributes: {'http.response.status_code': 200, 'gatepass.strategy': 'sso-client-credentials'},
			value: {count: 4},
		},
	]);
	expect(byName.get('gatepass.token.duration')?.dataPoints).toMatchObject([{value: {count: 2}}]);
});

test('events of certificates are counted', async () => {
	const record = await recordTelemetry();
	const about = {subject: 'CN=alice', file: '/cert.pem', expiresAt: 1};
	record('gatepass:certificate:replaced', {...about, previous: 'CN=bob'});
	record('gatepass:certificate:expiring', {...about, days: 30});
	record('gatepass:certificate:expiring', {...about, days: 10});
	record('gatepass:certificate:error', {...about, error: new CertificateError('It is damaged')});
	const {resourceMetrics} = await reader.collect();
	const metrics = resourceMetrics.scopeMetrics.flatMap(({metrics}) => metrics);
	expect(metrics.map(({descriptor}) => descriptor.name)).toEqual(['gatepass.certificate.events']);
	expect(
		metrics[0]?.dataPoints.map(({attributes, value}) => [attributes['gatepass.certificate.event'], value]),
	).toEqual([
		['replaced', 1],
		['expiring', 2],
		['error', 1],
	]);
	expect(finished()).toEqual([]);
});

test('events of trust stores are counted', async () => {
	const record = await recordTelemetry();
	record('gatepass:trust:error', {source: 'trust[0]', error: new CertificateError('It is empty')});
	const {resourceMetrics} = await reader.collect();
	const metrics = resourceMetrics.scopeMetrics.flatMap(({metrics}) => metrics);
	expect(metrics.map(({descriptor}) => descriptor.name)).toEqual(['gatepass.trust.events']);
	expect(metrics[0]?.dataPoints.map(({value}) => value)).toEqual([1]);
});

test('nothing is recorded unless it is asked for', async () => {
	const {got} = await stage.createClient();
	await got(`${stage.api.url}/sso/200`);
	expect(finished()).toEqual([]);
	expect((await reader.collect()).resourceMetrics.scopeMetrics).toEqual([]);
});
