/** The proxy's figures in the text form of Prometheus. Durations are seconds. */
import {bounds} from './activity.ts';
import type {ProxyContext} from './context.ts';
import {credentialsOf} from './status.ts';

type Labels = Readonly<Record<string, string>>;

export async function metricsOf(context: ProxyContext): Promise<string> {
	const {activity} = context;
	const rules = await credentialsOf(context);
	const page = new Page();
	page.begin('gatepass_requests_total', 'counter', 'Requests and tunnels that are over, by form and status');
	for (const [key, value] of activity.answers) {
		const [form = '', status = ''] = key.split(' ');
		page.add('gatepass_requests_total', {form, status}, value);
	}
	page.begin(
		'gatepass_request_duration_seconds',
		'histogram',
		'From the first byte of a request to the last of its answer',
	);
	for (const [form, {counts, sum, count}] of activity.durations) {
		let below = 0;
		for (const [index, bound] of bounds.entries()) {
			below += counts[index] ?? 0;
			page.add('gatepass_request_duration_seconds_bucket', {form, le: String(bound)}, below);
		}
		page.add('gatepass_request_duration_seconds_bucket', {form, le: '+Inf'}, count);
		page.add('gatepass_request_duration_seconds_sum', {form}, sum);
		page.add('gatepass_request_duration_seconds_count', {form}, count);
	}
	page.begin('gatepass_resent_legs_total', 'counter', 'Times that a request was sent again within its hop');
	page.add('gatepass_resent_legs_total', {}, activity.resent);
	page.begin(
		'gatepass_token_events_total',
		'counter',
		'Tokens issued, renewed, served, dropped, and failures',
	);
	for (const [event, value] of activity.tokenEvents) page.add('gatepass_token_events_total', {event}, value);
	page.begin('gatepass_connections', 'gauge', 'Connections of clients');
	page.add('gatepass_connections', {}, activity.connections);
	page.begin('gatepass_tunnels', 'gauge', 'Tunnels that are open and left alone');
	page.add('gatepass_tunnels', {}, activity.tunnels);
	page.begin('gatepass_credential_usable', 'gauge', 'Whether the credential of a rule is usable');
	for (const [rule, {match, strategy, available}] of rules.entries())
		page.add('gatepass_credential_usable', {rule: `${rule}`, match, strategy}, available ? 1 : 0);
	page.begin(
		'gatepass_credential_expiry_seconds',
		'gauge',
		'When the credential of a rule expires, in seconds since 1970',
	);
	for (const [rule, {match, strategy, expiresAt}] of rules.entries()) {
		if (expiresAt === undefined) continue;
		page.add('gatepass_credential_expiry_seconds', {rule: `${rule}`, match, strategy}, expiresAt / 1000);
	}
	page.begin('gatepass_configuration_reloads_total', 'counter', 'New configurations that came into force');
	page.add('gatepass_configuration_reloads_total', {}, activity.reloads);
	page.begin('gatepass_configuration_current', 'gauge', 'Whether the configuration on disk is in force');
	page.add('gatepass_configuration_current', {}, activity.reloadFailure === undefined ? 1 : 0);
	page.begin('process_resident_memory_bytes', 'gauge', 'Memory of the process');
	page.add('process_resident_memory_bytes', {}, process.memoryUsage.rss());
	page.begin('process_start_time_seconds', 'gauge', 'When the proxy was started, in seconds since 1970');
	page.add('process_start_time_seconds', {}, activity.started / 1000);
	return page.text;
}

class Page {
	text = '';

	begin(name: string, type: string, help: string): void {
		this.text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
	}

	add(name: string, labels: Labels, value: number): void {
		const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
		this.text += `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`;
	}
}

function escaped(text: string): string {
	return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
