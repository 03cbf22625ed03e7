/** What the proxy has done lately, for its pages: counters, the last hops, what needs a person's attention. */
import type {EventListener, EventName, EventPayloads} from '../observability/events.ts';
import type {AccessEntry} from './access-log.ts';

/** A hop that has a rule, as the status page shows it. */
export interface SeenHop {
	/** Milliseconds since 1970. */
	readonly time: number;
	readonly method: string;
	/** Without user information and query. */
	readonly url: string;
	readonly rule: string;
	readonly strategy: string;
	readonly status?: number;
	readonly legs: number;
	/** Milliseconds. */
	readonly duration: number;
	readonly refusal?: string;
}

/** Something that needs attention. */
export interface Warning {
	readonly time: number;
	readonly text: string;
}

const mostHops = 100;
const mostWarnings = 50;
/** Upper bounds of the buckets in seconds: those that the semantic conventions of OpenTelemetry advise. */
export const bounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] as const;

export interface Histogram {
	/** One for each of {@link bounds}, not summed up. */
	readonly counts: number[];
	sum: number;
	count: number;
}

export class Activity {
	readonly started = Date.now();
	readonly hops: SeenHop[] = [];
	readonly warnings: Warning[] = [];
	/** By form and status. */
	readonly answers = new Map<string, number>();
	/** By form. */
	readonly durations = new Map<string, Histogram>();
	readonly tokenEvents = new Map<string, number>();
	/** By pattern of a rule: a URL that it was last used for. */
	readonly lastUrls = new Map<string, {readonly url: string; readonly method: string}>();
	connections = 0;
	tunnels = 0;
	/** Legs sent beyond the first of each hop. */
	resent = 0;
	/** Why the last new configuration is not in force. */
	reloadFailure: string | undefined;
	reloads = 0;

	/** Hears every event of a gatepass. */
	readonly listener: EventListener = Object.assign(this.#listen.bind(this), {
		ignores: ['gatepass:leg'] as const,
	});

	#listen<Name extends EventName>(name: Name, payload: EventPayloads[Name]): void {
		if (name === 'gatepass:request') this.#see(payload as EventPayloads['gatepass:request']);
		else if (name.startsWith('gatepass:token:'))
			count(this.tokenEvents, name.slice('gatepass:token:'.length));
		const text = warningOf(name, payload);
		if (text !== undefined) this.warn(text);
	}

	#see({method, url, rule, status, legs, duration, refusal}: EventPayloads['gatepass:request']): void {
		this.resent += Math.max(0, legs - 1);
		this.lastUrls.set(rule.match, {url, method});
		this.hops.unshift({
			time: Date.now(),
			method,
			url,
			rule: rule.match,
			strategy: rule.strategy,
			...(status !== undefined && {status}),
			legs,
			duration,
			...(refusal !== undefined && {refusal: refusal.message}),
		});
		if (this.hops.length > mostHops) this.hops.pop();
	}

	/** What was said already moves to the front. */
	warn(text: string): void {
		const known = this.warnings.findIndex(warning => warning.text === text);
		if (known !== -1) this.warnings.splice(known, 1);
		this.warnings.unshift({time: Date.now(), text});
		if (this.warnings.length > mostWarnings) this.warnings.pop();
	}

	/** A request was answered, or a tunnel has ended. */
	count({form, status, duration}: AccessEntry): void {
		count(this.answers, `${form} ${status ?? 0}`);
		let histogram = this.durations.get(form);
		if (histogram === undefined) {
			histogram = {counts: bounds.map(() => 0), sum: 0, count: 0};
			this.durations.set(form, histogram);
		}
		const seconds = duration / 1000;
		histogram.sum += seconds;
		histogram.count += 1;
		const bucket = bounds.findIndex(bound => seconds <= bound);
		if (bucket !== -1) histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + 1;
	}
}

function count(counters: Map<string, number>, key: string): void {
	counters.set(key, (counters.get(key) ?? 0) + 1);
}

/** What of an event a person should read; it holds no secret. */
function warningOf(name: string, payload: object): string | undefined {
	const {error, kind, detail, subject, days, warnings, url, status} = payload as {
		error?: Error;
		kind?: string;
		detail?: string;
		subject?: string;
		days?: number;
		warnings?: readonly string[];
		url?: string;
		status?: number;
	};
	switch (name) {
		case 'gatepass:token:error':
		case 'gatepass:certificate:error':
		case 'gatepass:trust:error':
			return error?.message;
		case 'gatepass:certificate:expiring':
			return `The certificate of ${subject} expires in less than ${days} days`;
		case 'gatepass:certificate:warning':
			return `${subject}: ${warnings?.join('. ')}`;
		case 'gatepass:certificate:renewal':
			return kind === 'renewed' ? undefined : detail;
		case 'gatepass:request:unmatched':
			return `${url} answered ${status}, and no host rule matches it. 'gatepass explain' says why`;
		default:
			return undefined;
	}
}
