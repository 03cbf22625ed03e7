/** Real programs that know nothing of gatepass, each as a shell script that uses a server and prints what came of it. */
import {createHash} from 'node:crypto';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {findProgram, type RealServer} from '../servers/availability.ts';

/** A server as a program reaches it. */
export interface Place {
	/** Without a slash at the end. */
	readonly url: string;
	/** Of the reverse form. */
	readonly secret?: string;
	/** By whom the server knows who asks. */
	readonly user: string;
}

export interface ClientProgram {
	readonly name: string;
	readonly server: RealServer;
	/** The script. Its working directory is its own. */
	script(place: Place): string;
	/** What it prints where all went well. */
	expected(place: Place): string;
}

/** The body that is sent. */
const body = 'the body';
const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
/** What the page `/echo` says of a GET, and of a POST with the body. */
const bothAnswers = ({user}: Place): string => `GET ${user} ${digest('')}\nPOST ${user} ${digest(body)}`;

function program(name: string, file: string, debian: string): RealServer {
	return {
		name,
		install: `apt-get install ${debian}`,
		whyUnavailable: () => (findProgram(file) === undefined ? `there is no program ${file}` : undefined),
	};
}

/** For a shell. */
export function quote(word: string): string {
	return `'${word.replaceAll("'", `'\\''`)}'`;
}

const withUser = ({url, secret}: Place): string =>
	secret === undefined ? url : url.replace('://', `://gatepass:${secret}@`);
const header = ({secret}: Place): string => (secret === undefined ? '' : `X-Gatepass-Secret: ${secret}`);

/** The secret for programs that can show nothing but the key by which they sign for S3. */
const signingKey = (secret = 'none'): string => `AWS_ACCESS_KEY_ID=${secret} AWS_SECRET_ACCESS_KEY=unused`;

/** A program in a language of its own, which is given a URL, a body and perhaps the secret. */
const interpreted =
	(...command: string[]) =>
	({url, secret}: Place): string =>
		[...command, `${url}/echo`, body, ...(secret === undefined ? [] : [secret])].map(quote).join(' ');

// Debian's own, which has the packages: another Python may come before it.
const python = '/usr/bin/python3';

const requestsSource = `
import requests, sys
url, body, *secret = sys.argv[1:]
headers = {"X-Gatepass-Secret": s for s in secret}
for r in requests.get(url, headers=headers), requests.post(url, data=body, headers=headers):
    r.raise_for_status()
    print(r.text, end="")`;

const urllibSource = `
import urllib.request as u, sys
url, body, *secret = sys.argv[1:]
headers = {"X-Gatepass-Secret": s for s in secret}
for data in None, body.encode():
    print(u.urlopen(u.Request(url, data, headers)).read().decode(), end="")`;

const fetchSource = `
const [url, body, secret] = process.argv.slice(1);
const headers = secret === undefined ? {} : {'x-gatepass-secret': secret};
for (const settings of [{headers}, {headers, method: 'POST', body}]) {
	const response = await fetch(url, settings);
	process.stdout.write(await response.text());
}`;

const perlSource = `
my ($url, $body, @secret) = @ARGV;
my @headers = map { ("X-Gatepass-Secret" => $_) } @secret;
my $agent = LWP::UserAgent->new;
for my $r ($agent->get($url, @headers), $agent->post($url, @headers, Content => $body)) {
	die $r->status_line unless $r->is_success;
	print $r->content;
}`;

/** R's own `url()` sends no bodies; its package curl does, which has to be told of the CAs: it heeds no variable for them. */
const rSource = `
args <- commandArgs(TRUE)
secret <- if (length(args) > 2) c("X-Gatepass-Secret" = args[3])
saved <- tempfile()
download.file(args[1], saved, method = "libcurl", quiet = TRUE, headers = secret)
stopifnot(identical(readLines(saved), readLines(url(args[1], method = "libcurl", headers = secret))))
writeLines(readLines(saved))
handle <- curl::new_handle(postfields = args[2])
ca <- Sys.getenv("CURL_CA_BUNDLE")
if (nzchar(ca)) curl::handle_setopt(handle, cainfo = ca)
if (!is.null(secret)) curl::handle_setheaders(handle, .list = as.list(secret))
answer <- curl::curl_fetch_memory(args[1], handle)
stopifnot(answer$status_code == 200)
cat(rawToChar(answer$content))`;

const javaSource = `
import java.net.URI;
import java.net.http.*;
public class Client {
	public static void main(String[] args) throws Exception {
		HttpClient client = HttpClient.newHttpClient();
		HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(args[0]));
		if (args.length > 2) request.header("X-Gatepass-Secret", args[2]);
		System.out.print(client.send(request.build(), HttpResponse.BodyHandlers.ofString()).body());
		request.POST(HttpRequest.BodyPublishers.ofString(args[1]));
		System.out.print(client.send(request.build(), HttpResponse.BodyHandlers.ofString()).body());
	}
}
`;

/** Programs that send bodies and print answers. */
const general: readonly ClientProgram[] = [
	{
		name: 'curl',
		server: program('curl', 'curl', 'curl'),
		script: place =>
			`curl -sSf ${withUser(place)}/echo; curl -sSf --data-binary '${body}' ${withUser(place)}/echo`,
		expected: bothAnswers,
	},
	{
		name: 'Python requests',
		server: program('requests', 'python3', 'python3-requests'),
		script: interpreted(python, '-c', requestsSource),
		expected: bothAnswers,
	},
	{
		name: 'Python urllib',
		server: program('Python', 'python3', 'python3'),
		script: interpreted(python, '-c', urllibSource),
		expected: bothAnswers,
	},
	{
		name: 'wget',
		server: program('wget', 'wget', 'wget'),
		script: place => {
			const wget = `wget -qO- ${header(place) === '' ? '' : quote(`--header=${header(place)}`)}`;
			return `${wget} ${place.url}/echo; ${wget} --post-data='${body}' ${place.url}/echo`;
		},
		expected: bothAnswers,
	},
	{
		name: "Node's fetch",
		server: program('Node', 'node', 'nodejs'),
		script: interpreted(process.execPath, '--input-type=module', '-e', fetchSource),
		expected: bothAnswers,
	},
	{
		name: "Perl's LWP",
		server: program('LWP', 'lwp-request', 'libwww-perl liblwp-protocol-https-perl'),
		script: interpreted('perl', '-MLWP::UserAgent', '-e', perlSource),
		expected: bothAnswers,
	},
	{
		name: 'R',
		server: program('R', 'Rscript', 'r-base-core r-cran-curl'),
		script: interpreted('Rscript', '--vanilla', '-e', rSource),
		expected: bothAnswers,
	},
];

function java(folder: string): ClientProgram {
	const source = join(folder, 'Client.java');
	writeFileSync(source, javaSource);
	const run = interpreted('java', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', folder, 'Client');
	const compiled = join(folder, 'Client.class');
	return {
		name: "Java's HttpClient",
		server: program('Java', 'javac', 'default-jdk-headless'),
		script: place => `[ -e ${compiled} ] || javac -d ${folder} ${source} && ${run(place)}`,
		expected: bothAnswers,
	};
}

/** Its commit is larger than what git sends at once, so that it sends chunks. */
const git: ClientProgram = {
	name: 'git',
	server: program('git', 'git', 'git'),
	script: place => {
		const repository = `${withUser(place)}/git/repository.git`;
		return `
export GIT_TERMINAL_PROMPT=0 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
git clone -q ${repository} clone && cd clone && git log --format=%s
head -c 2000000 /dev/urandom > large && git add large && git commit -q -m second
branch=$(git rev-parse HEAD) && git push -q origin HEAD:refs/heads/$branch
git ls-remote origin $branch | cut -f 1 | grep -x $branch >/dev/null && echo pushed`;
	},
	expected: () => 'The first\npushed',
};

/** What it puts waits for `100 Continue`. The secret is the key by which it signs; without one, it leaves that. */
const aws: ClientProgram = {
	name: 'awscli',
	server: program('awscli', 'aws', 'awscli'),
	script: ({url, secret}) => `
export ${signingKey(secret)}
export AWS_CONFIG_FILE=$PWD/config AWS_EC2_METADATA_DISABLED=true AWS_MAX_ATTEMPTS=1 AWS_REGION=us-east-1 LC_ALL=C.UTF-8
printf '[default]\ns3 =\n  addressing_style = path\n' > config
aws() { /usr/bin/aws ${secret === undefined ? '--no-sign-request' : ''} --endpoint-url ${url} "$@"; }
echo 'put by awscli' > local
aws s3api put-object --bucket files --key aws --body local >/dev/null
aws s3api get-object --bucket files --key aws copy >/dev/null && cat copy`,
	expected: () => 'put by awscli',
};

/** Programs of the grid: what they put is what they get back. */
const gfal: ClientProgram = {
	name: 'gfal2',
	server: {
		name: 'gfal2',
		install: 'apt-get install gfal2-util-scripts python3-gfal2-util gfal2-plugin-http gfal2-plugin-file',
		whyUnavailable: () =>
			findProgram('gfal-copy') === undefined ? 'there is no program gfal-copy' : undefined,
	},
	script: ({url, secret}) => {
		const files = `${url}/files`;
		return `
export GFAL_PYTHONBIN=${python} ${secret === undefined ? '' : `BEARER_TOKEN=${secret}`}
echo 'put by gfal2' > local && gfal-copy -f file://$PWD/local ${files}/gfal >/dev/null
gfal-cat ${files}/gfal && gfal-stat ${files}/hello | grep -o 'Size: [0-9]*'`;
	},
	expected: () => 'put by gfal2\nSize: 21',
};

/** Its plugin sends no header, no user information of a URL and no token; but it signs. */
const xrdcp: ClientProgram = {
	name: 'xrdcp',
	server: program('xrdcp with its plugin for HTTP', 'xrdcp', 'xrootd-client xrootd-client-http-plugins'),
	script: ({url, secret}) => `
${secret === undefined ? '' : `export AWS_SIGNATURE_V2=1 ${signingKey(secret)}`}
echo 'put by xrdcp' > local && xrdcp -A -s -f local ${url}/files/xrdcp
xrdcp -A -s ${url}/files/xrdcp -`,
	expected: () => 'put by xrdcp',
};

/**
 * Its tools want a certificate for themselves when they go through a proxy, whatever the server wants: see
 * findings/davix-libcurl-certificate.sh.
 */
function davix(folder: string): ClientProgram {
	const certificate = join(folder, 'davix.pem');
	const make = `[ -e ${certificate} ] || openssl req -x509 -newkey rsa:2048 -nodes -keyout ${certificate}.key -out ${certificate} -days 2 -subj /CN=davix 2>/dev/null`;
	return {
		name: 'davix',
		server: program('davix', 'davix-get', 'davix openssl'),
		script: place => {
			const options =
				place.secret === undefined
					? `-P grid --cert ${certificate} --key ${certificate}.key`
					: `-H ${quote(header(place))}`;
			const files = `${place.url}/files`;
			return `
${make}
echo 'put by davix' > local && davix-put ${options} local ${files}/davix
davix-get ${options} ${files}/davix`;
		},
		expected: () => 'put by davix',
	};
}

/** @param folder for what has to stand in a file. */
export function clientPrograms(folder: string): readonly ClientProgram[] {
	return [...general, java(folder), git, aws, davix(folder), gfal, xrdcp];
}
