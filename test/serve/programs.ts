/** Real programs, each as a command that prints what it gets from a URL, with a secret where one is given. */
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {findProgram, type RealServer} from '../servers/availability.ts';

export interface ClientProgram {
	readonly name: string;
	/** How to get a URL. `secret`: of the reverse form. */
	get(url: string, secret?: string): readonly string[];
	/** How to send a body and print the answer. */
	post?(url: string, body: string, secret?: string): readonly string[];
	readonly server: RealServer;
}

const withUser = (url: string, secret?: string): string =>
	secret === undefined ? url : url.replace('://', `://gatepass:${secret}@`);

function program(name: string, file: string, debian: string): RealServer {
	return {
		name,
		install: `apt-get install ${debian}`,
		whyUnavailable: () => (findProgram(file) === undefined ? `there is no program ${file}` : undefined),
	};
}

// Debian's own, which has the packages: another Python may come before it.
const python = '/usr/bin/python3';

const javaSource = `
import java.net.URI;
import java.net.http.*;
public class Get {
	public static void main(String[] args) throws Exception {
		HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(args[0]));
		if (args.length > 1) request.header("X-Gatepass-Secret", args[1]);
		HttpResponse<String> response = HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString());
		System.out.println(response.statusCode() + " " + response.body());
	}
}
`;

/** @param folder for what has to stand in a file. */
export function clientPrograms(folder: string): readonly ClientProgram[] {
	const java = join(folder, 'Get.java');
	writeFileSync(java, javaSource);
	const header = (secret: string | undefined): string[] => (secret === undefined ? [] : [secret]);
	return [
		{
			name: 'curl',
			server: program('curl', 'curl', 'curl'),
			get: (url, secret) => ['curl', '-sSf', withUser(url, secret)],
			post: (url, body, secret) => ['curl', '-sSf', '--data-binary', body, withUser(url, secret)],
		},
		{
			name: 'Python requests',
			server: program('requests', 'python3', 'python3-requests'),
			get: (url, secret) => [
				python,
				'-c',
				'import requests, sys; r = requests.get(sys.argv[1]); r.raise_for_status(); print(r.text)',
				withUser(url, secret),
			],
			post: (url, body, secret) => [
				python,
				'-c',
				'import requests, sys; r = requests.post(sys.argv[1], data=sys.argv[2]); r.raise_for_status(); print(r.text)',
				withUser(url, secret),
				body,
			],
		},
		{
			name: 'Python urllib',
			server: program('Python', 'python3', 'python3'),
			get: (url, secret) => [
				python,
				'-c',
				'import urllib.request as u, sys; print(u.urlopen(u.Request(sys.argv[1], headers={"X-Gatepass-Secret": s for s in sys.argv[2:]})).read().decode())',
				url,
				...header(secret),
			],
		},
		{
			name: 'wget',
			server: program('wget', 'wget', 'wget'),
			get: (url, secret) => [
				'wget',
				'-qO-',
				...header(secret).map(text => `--header=X-Gatepass-Secret: ${text}`),
				url,
			],
			post: (url, body, secret) => [
				'wget',
				'-qO-',
				...header(secret).map(text => `--header=X-Gatepass-Secret: ${text}`),
				`--post-data=${body}`,
				url,
			],
		},
		{
			name: "Node's fetch",
			server: program('Node', 'node', 'nodejs'),
			get: (url, secret) => [
				process.execPath,
				'-e',
				'const [url, secret] = process.argv.slice(1); fetch(url, secret ? {headers: {"x-gatepass-secret": secret}} : {}).then(async r => console.log(r.status, await r.text()))',
				url,
				...header(secret),
			],
		},
		{
			name: "Perl's LWP",
			server: {
				...program('LWP', 'lwp-request', 'libwww-perl liblwp-protocol-https-perl'),
			},
			get: (url, secret) => [
				'perl',
				'-MLWP::UserAgent',
				'-e',
				'my $r = LWP::UserAgent->new->get($ARGV[0], $ARGV[1] ? ("X-Gatepass-Secret" => $ARGV[1]) : ()); print $r->status_line, " ", $r->content; exit !$r->is_success',
				url,
				...header(secret),
			],
		},
		{
			name: "Java's HttpClient",
			server: program('Java', 'javac', 'default-jdk-headless'),
			get: (url, secret) => ['java', java, url, ...header(secret)],
		},
	];
}
