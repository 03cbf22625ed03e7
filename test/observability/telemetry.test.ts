/** Spans and metrics, as OpenTelemetry's own SDK records them. */
import {AsyncLocalStorage} from 'node:async_hooks';
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
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {CertificateError} from '../../src/index.ts';
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

test('each hop is a span, with the names of the semantic conventions', async () => {
	const {got} = await stage.createClient({telemetry: true});
	await got(`${stage.api.url}/kerberos/to-key?secret`);
	const common = {
		'http.request.method': 'GET',
		'server.address': '127.0.0.1',
		'server.port': Number(new URL(stage.api.url).port),
	};
	const span = {name: 'gatepass request', kind: SpanKind.CLIENT, status: SpanStatusCode.UNSET};
	expect(finished()).toEqual([
		{
			...span,
			attributes: {
				...common,
				'http.response.status_code': 302,
				'gatepass.strategy': 'kerberos-stub',
				'gatepass.rule': `${stage.api.url}/kerberos`,
				'gatepass.legs': 2,
				'url.full': `${stage.api.url}/kerberos/to-key`,
			},
		},
		{
			...span,
			attributes: {
				...common,
				'http.response.status_code': 200,
				'gatepass.strategy': 'static-token',
				'gatepass.rule': `${stage.api.url}/key`,
				'gatepass.legs': 1,
				'url.full': `${stage.api.url}/key/200`,
			},
		},
	]);
});

test('a hop that fails has the status of an error', async () => {
	const {got} = await stage.createClient({telemetry: true});
	await got(`${stage.api.url}/key/cut-off`, {retry: {limit: 0}}).catch(() => {});
	expect(finished()).toMatchObject([
		{name: 'gatepass request', status: SpanStatusCode.ERROR, attributes: {'error.type': '_OTHER'}},
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
	const about = {url: 'https://api.example.org/x', rule, status: 200, legs: 1, duration: 20};
	record('gatepass:request', {...about, method: 'PROPFIND'});
	const {resourceMetrics} = await reader.collect();
	const [point] = resourceMetrics.scopeMetrics.flatMap(({metrics}) => metrics)[0]?.dataPoints ?? [];
	expect(point).toMatchObject({
		attributes: {'http.request.method': '_OTHER', 'server.port': 443},
		value: {sum: 0.02},
	});
	expect(finished()).toMatchObject([{attributes: {'http.request.method_original': 'PROPFIND'}}]);
});

test('spans last as long as what they tell of', async () => {
	const {got} = await stage.createClient({telemetry: true});
	stage.endpoint.holdsBack = true;
	const request = got(`${stage.api.url}/sso/200`);
	await stage.endpoint.untilRequest(1);
	const waited = 100;
	setTimeout(() => stage.endpoint.answer(), waited);
	await request;
	for (const {
		duration: [seconds, nanoseconds],
	} of spans.getFinishedSpans()) {
		expect(seconds * 1000 + nanoseconds / 1_000_000).toBeGreaterThanOrEqual(waited - 5);
	}
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
	expect(
		all.filter(({name}) => name.startsWith('gatepass')).map(span => [span.name, parentOf(span)]),
	).toEqual([
		['gatepass token request', 'serve /sso/200'],
		['gatepass request', 'serve /sso/200'],
		['gatepass request', 'serve /kerberos/to-sso'],
		['gatepass request', 'serve /kerberos/to-sso'],
		['gatepass request', 'serve /key/cut-off'],
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
