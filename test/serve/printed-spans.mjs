/** An SDK of OpenTelemetry, for `node --import`: prints each span as a line. */
import {trace} from '@opentelemetry/api';
import {BasicTracerProvider, SimpleSpanProcessor} from '@opentelemetry/sdk-trace-base';

const exporter = {
	export(spans, done) {
		for (const {name, attributes} of spans) {
			process.stderr.write(`span ${JSON.stringify({name, attributes})}\n`);
		}
		done({code: 0});
	},
	async shutdown() {},
};
trace.setGlobalTracerProvider(new BasicTracerProvider({spanProcessors: [new SimpleSpanProcessor(exporter)]}));
