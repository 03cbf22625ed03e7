/** `gatepass request URL`: makes a request, with the flags of curl. */
import {isUtf8} from 'node:buffer';
import {once} from 'node:events';
import {STATUS_CODES} from 'node:http';
import process from 'node:process';
import {buffer} from 'node:stream/consumers';
import type {Command} from 'commander';
import type {Method, Request, Response} from 'got';
import {GatepassError} from '../errors.ts';
import type {Gatepass} from '../gatepass.ts';
import {doctorOf, nameCommand} from '../name-command.ts';
import {exitCodes} from './exit-codes.ts';
import {UsageError} from './failure.ts';
import {count, note, paint, printJson, shortPath} from './output.ts';
import {type Progress, startProgress} from './progress.ts';
import {
	type BodyPart,
	basic,
	parseHeaders,
	parseSeconds,
	parseUser,
	type RequestHeaders,
	readBody,
} from './request-input.ts';
import {writeToFile, writeToStdout} from './response-output.ts';
import {examples, type GlobalOptions, optionsOf, parseMethod, parseUrl, withGatepass} from './settings.ts';
import {describeOutcome, Trace, type TraceListener} from './trace.ts';
import {tellsItself} from './warnings.ts';
import {renderWaterfall} from './waterfall.ts';

interface RequestOptions extends GlobalOptions {
	readonly request?: string;
	readonly header?: readonly string[];
	readonly output?: string;
	readonly include?: boolean;
	readonly verbose?: boolean;
	readonly follow: boolean;
	readonly fresh?: boolean;
	readonly silent?: boolean;
	readonly insecure?: boolean;
	readonly head?: boolean;
	readonly user?: string;
	readonly maxTime?: number;
}

export function addRequestCommand(program: Command): void {
	const body: BodyPart[] = [];
	program
		.command('request')
		.summary('make a request')
		.description(
			'Make a request with the credential that the host rules choose, at each redirect again. ' +
				'The body of the answer goes to stdout as it came. Exit code 1 when the status is 400 or above.',
		)
		.argument('<url>', 'the URL; https when the scheme is left out')
		.option('-X, --request <method>', 'the HTTP method (default: GET, with -d POST)', parseMethod)
		.option(
			'-H, --header <header>',
			"'Name: value'; 'Name:' takes one out; @file reads them",
			(value: string, previous: readonly string[] = []) => [...previous, value],
		)
		.option(
			'-d, --data <data>',
			'the body, as a form; @file reads it, without its line ends; @- reads stdin',
			text => {
				body.push({text, binary: false});
			},
		)
		.option('--data-binary <data>', 'the same, but a file is sent as it is', text => {
			body.push({text, binary: true});
		})
		.option('-o, --output <file>', 'write to a file, once the whole answer is there')
		.option('-i, --include', 'write the status and headers of the answer before its body')
		.option(
			'-v, --verbose',
			'tell on stderr, hop by hop, which rule, strategy and kind of credential is used',
		)
		.option('-I, --head', 'ask with HEAD, and write the status and headers of the answer')
		.option('-s, --silent', 'no sign of life, and no remark on the status')
		.option('-S, --show-error', 'show what keeps an answer away, which is done anyway')
		.option('-u, --user <name:password>', 'HTTP basic, where no rule brings another credential', parseUser)
		.option(
			'--max-time <seconds>',
			`end after so long (default: ${patience / 1000} s without a sign)`,
			parseSeconds,
		)
		.option('-L, --location', 'follow redirects, which is done anyway')
		.option('--no-follow', 'do not follow redirects')
		.option('-k, --insecure', "refused: name the server's CA certificate under 'trust' instead")
		.option('--fresh', 'pass the token cache over once')
		.addHelpText(
			'after',
			examples(
				'gatepass request https://api.example.org/runs',
				'gatepass request -v -o runs.json https://api.example.org/runs',
				`gatepass request -H 'Content-Type: application/json' -d '{"name":"a"}' \\`,
				'  https://api.example.org/runs',
				'gatepass request -X PUT --data-binary @archive.tar \\',
				'  https://store.example.org/archive.tar',
				'gatepass request --json https://api.example.org/runs/1 | jq .status',
			),
		)
		.action(async (text: string, _own: unknown, command: Command) => {
			const options = optionsOf<RequestOptions>(command);
			if (options.insecure) throw new UsageError(whyNotInsecure);
			// With the answer.
			tellsItself('GATEPASS_NO_RULE');
			const url = parseUrl(text);
			const headers = await parseHeaders(options.header ?? []);
			const content = await readBody(body);
			await withGatepass(options, gatepass => request(gatepass, url, headers, content, options));
		});
}

/** Statuses by which a server, or a proxy, does not take a credential. */
const refusals: readonly number[] = [401, 403, 407];

/** Milliseconds without a sign of the server, after which nobody waits on. */
const patience = 120_000;

const whyNotInsecure =
	"-k is refused: whoever stood between would get the credential. Name the server's CA certificate under 'trust' in the configuration ('gatepass cert inspect HOST:PORT' shows which)";

async function request(
	gatepass: Gatepass,
	url: URL,
	headers: RequestHeaders,
	body: Buffer | undefined,
	options: RequestOptions,
): Promise<void> {
	const {json = false, verbose = false, silent = false, follow, fresh = false, maxTime} = options;
	const progress = startProgress(`Waiting for ${url.host}`, !json && !verbose && !silent);
	const timer = maxTime === undefined ? undefined : AbortSignal.timeout(maxTime);
	const trace = verbose || json ? new Trace(gatepass, verbose && !json ? narrator : silence) : undefined;
	trace?.start();
	try {
		const usual = options.head ? 'HEAD' : body === undefined ? 'GET' : 'POST';
		const method = (options.request ?? usual) as Method;
		const hasBody = body !== undefined || !['GET', 'HEAD'].includes(method);
		const stream = gatepass.got.stream(url, {
			...trace?.gotOptions,
			method,
			headers: {
				'user-agent': 'gatepass',
				...(options.user !== undefined && {authorization: basic(options.user)}),
				...(body !== undefined && {'content-type': 'application/x-www-form-urlencoded'}),
				...headers,
			},
			// Without a body, a stream of got's waits for somebody to write one.
			...(hasBody && {body: body ?? '', allowGetBody: true}),
			followRedirect: follow,
			throwHttpErrors: false,
			// The answer as it came: no compression is asked for, and none is taken off.
			decompress: false,
			retry: {limit: 0},
			timeout: {socket: patience},
			...(timer !== undefined && {signal: timer}),
			context: {gatepass: {fresh}},
		});
		const [response] = (await once(stream, 'response')) as [Response];
		await deliver(stream, response, options, progress, trace);
		if (response.statusCode >= 400) {
			process.exitCode = exitCodes.failed;
			if (!json && !silent) {
				const why =
					gatepass.explain(withoutUserInformation(response.url), {method}).rule === undefined
						? unmatched(response)
						: '';
				note(`${paint('red', 'error:', process.stderr)} the server answered ${statusOf(response)}${why}`);
				if (refusals.includes(response.statusCode)) {
					note(`Run '${doctorOf(new URL(response.url))}' to see where it breaks.`);
				}
			}
		}
	} catch (error) {
		// What is got's own, such as a refused connection, has no diagnostics, but the same way to find out.
		const isOfRequest = error instanceof Error && /^(?:Request|Read|Timeout)Error$/.test(error.name);
		if (!timer?.aborted) throw isOfRequest ? nameCommand(error, url) : error;
		throw new GatepassError(
			{
				code: 'server-silent',
				what: `${url.host} gave no whole answer within ${Number(maxTime) / 1000} seconds (--max-time)`,
				hint: 'Allow more, or see with -v what takes so long',
			},
			{cause: error},
		);
	} finally {
		if (trace !== undefined && verbose && !json) {
			await trace.settle();
			for (const line of renderWaterfall(trace.hops)) note(line);
		}
		trace?.stop();
		progress.stop();
	}
}

async function deliver(
	stream: Request,
	response: Response,
	{json, output, include, head: headOnly, verbose}: RequestOptions,
	progress: Progress,
	trace: Trace | undefined,
): Promise<void> {
	const head = include || headOnly ? headOf(response) : '';
	const file = output === undefined || output === '-' ? undefined : output;
	if (file !== undefined) await writeToFile(file, json ? '' : head, stream);
	if (json) {
		const content = file === undefined ? await buffer(stream) : undefined;
		await trace?.settle();
		printJson({
			url: withoutUserInformation(response.url),
			status: response.statusCode,
			headers: response.headers,
			...(file !== undefined && {file}),
			...(content !== undefined &&
				(isUtf8(content) ? {body: content.toString()} : {bodyBase64: content.toString('base64')})),
			hops: trace?.hops,
		});
		return;
	}
	if (file === undefined) {
		progress.stop();
		await writeToStdout(head, stream);
	} else if (verbose) {
		note(`* wrote ${count(stream.downloadProgress.transferred, 'byte')} to ${file}`);
	}
}

function headOf(response: Response): string {
	const {rawHeaders, httpVersion} = response;
	const lines = [`HTTP/${httpVersion} ${statusOf(response)}`];
	for (let index = 0; index < rawHeaders.length; index += 2) {
		lines.push(`${rawHeaders[index]}: ${rawHeaders[index + 1]}`);
	}
	return `${lines.join('\r\n')}\r\n\r\n`;
}

function statusOf({statusCode}: Response): string {
	return `${statusCode} ${STATUS_CODES[statusCode] ?? ''}`.trimEnd();
}

function withoutUserInformation(text: string): string {
	const url = new URL(text);
	url.username = '';
	url.password = '';
	return url.href;
}

/** What a person wonders about first. */
function unmatched({statusCode}: Response): string {
	return statusCode === 401 || statusCode === 403
		? ", and no host rule matches it, so nothing was shown. 'gatepass explain' says why"
		: '';
}

/** What `-v` prints. */
const narrator: TraceListener = {
	hop({method, url, rule}, number) {
		say(`hop ${number}`, paint('bold', `${method} ${url}`, process.stderr));
		if (rule === undefined) {
			say('  rule', 'none');
			return;
		}
		say('  rule', `${rule.match} (${shortPath(rule.source)})`);
		say('  strategy', rule.strategy);
	},
	strategyRequest({method, url, ...outcome}) {
		say('  asked', `${method} ${url} → ${describeOutcome(outcome)}`);
	},
	leg({credentials, ...outcome}) {
		const what = credentials.length === 0 ? 'as it is' : `with ${credentials.join(' and ')}`;
		say('  sent', `${what} → ${describeOutcome(outcome)}`);
	},
};

const silence: TraceListener = {hop() {}, strategyRequest() {}, leg() {}};

function say(what: string, text: string): void {
	note(`* ${what.padEnd(11)} ${text}`);
}
