/** One side of the signing row: sends as many requests as it is told, 20 at a time, and says what one costs it. */
import {createHash, createHmac, type Hash, type Hmac} from 'node:crypto';
import {SignatureV4} from '@smithy/signature-v4';
import aws4 from 'aws4';
import {createGatepass} from 'gatepass';
import {Agent, request} from 'undici';
import {answerParent, childArgument, tellParent} from './child.ts';

export type SigningSide = 'gatepass' | 'aws4' | '@smithy/signature-v4' | 'unsigned';

export interface SigningSettings {
	readonly side: SigningSide;
	/** Of the server. */
	readonly url: string;
}

const concurrency = 20;
const {side, url} = childArgument<SigningSettings>();
const {host, pathname, search, searchParams} = new URL(url);
const keys = {accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'};
const place = {service: 'execute-api', region: 'eu-central-1'};
const body = JSON.stringify({text: 'x'.repeat(1013)});
const headers = {'content-type': 'application/json'};

/** As AWS's own clients for Node have it, over Node's hashes. */
class Sha256 {
	readonly #secret: string | Uint8Array | undefined;
	#hash: Hash | Hmac;

	constructor(secret?: string | Uint8Array) {
		this.#secret = secret;
		this.#hash = this.#made();
	}

	update(data: Uint8Array): void {
		this.#hash.update(data);
	}

	async digest(): Promise<Uint8Array> {
		return this.#hash.digest();
	}

	reset(): void {
		this.#hash = this.#made();
	}

	#made(): Hash | Hmac {
		return this.#secret === undefined ? createHash('sha256') : createHmac('sha256', this.#secret);
	}
}

const smithy = new SignatureV4({...place, credentials: keys, sha256: Sha256 as never});
const gatepass = await createGatepass({
	config: {
		cache: {url: 'memory:'},
		hostRules: [{match: `http://${host}`, strategy: 'aws-sigv4', options: {...place, ...keys}}],
	},
});
const dispatcher = side === 'gatepass' ? gatepass.dispatcher : new Agent();

const signed: Readonly<Record<SigningSide, () => Promise<Record<string, string>>>> = {
	gatepass: async () => headers,
	unsigned: async () => ({...headers, authorization: 'none', 'x-amz-date': '20150830T123600Z'}),
	aws4: async () => {
		const options = {...place, method: 'POST', host, path: pathname + search, body, headers: {...headers}};
		return aws4.sign(options, keys).headers as Record<string, string>;
	},
	'@smithy/signature-v4': async () => {
		const query = Object.fromEntries(searchParams);
		const message = {method: 'POST', protocol: 'http:', hostname: host, path: pathname, query};
		return (await smithy.sign({...message, headers: {...headers, host}, body})).headers;
	},
};

async function send(): Promise<void> {
	const options = {dispatcher, method: 'POST', headers: await signed[side](), body} as const;
	const {statusCode, body: answer} = await request(url, options);
	await answer.dump();
	if (statusCode !== 200) throw new Error(`The server answered ${statusCode}: it found no signature`);
}

answerParent(async (requests: number): Promise<number> => {
	let left = requests;
	const sendUntilNoneIsLeft = async (): Promise<void> => {
		while (left > 0) {
			left -= 1;
			await send();
		}
	};
	const before = process.cpuUsage();
	await Promise.all(Array.from({length: concurrency}, sendUntilNoneIsLeft));
	const {user, system} = process.cpuUsage(before);
	return (user + system) / requests;
});
tellParent('ready');
