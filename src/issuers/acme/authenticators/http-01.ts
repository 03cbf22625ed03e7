/** Answers http-01 (RFC 8555 section 8.3) by a server of its own, or by files in the folder of one that runs already. */

import {mkdir, rm, rmdir} from 'node:fs/promises';
import {createServer, type Server} from 'node:http';
import {join, resolve} from 'node:path';
import {GatepassError} from '../../../errors.ts';
import {replaceFile} from '../../../files/durable.ts';
import type {Authenticator, ChallengeTask, CleanUp} from './authenticator.ts';

const path = '/.well-known/acme-challenge/';

export interface StandaloneSettings {
	/** Where to listen. Default: every address of this machine, of IPv4 and IPv6. */
	readonly address?: string | undefined;
	/** Default: 80, where authorities look. */
	readonly port?: number | undefined;
}

/** Listens while challenges are open, and no longer. */
export class StandaloneAuthenticator implements Authenticator {
	readonly name = 'standalone';
	readonly challenges = ['http-01'];
	readonly #settings: StandaloneSettings;
	/** What is answered, by the path that is asked for. */
	readonly #answers = new Map<string, string>();
	#listening: Promise<Server> | undefined;

	constructor(settings: StandaloneSettings = {}) {
		this.#settings = settings;
	}

	async perform({token, keyAuthorization}: ChallengeTask): Promise<CleanUp> {
		const place = path + token;
		this.#answers.set(place, keyAuthorization);
		try {
			this.#listening ??= this.#listen();
			await this.#listening;
		} catch (error) {
			this.#listening = undefined;
			this.#answers.delete(place);
			throw error;
		}
		return async () => {
			this.#answers.delete(place);
			const {size} = this.#answers;
			const listening = this.#listening;
			if (size > 0 || listening === undefined) return;
			this.#listening = undefined;
			const server = await listening;
			server.closeAllConnections();
			await new Promise(done => server.close(done));
		};
	}

	async #listen(): Promise<Server> {
		const {address, port = 80} = this.#settings;
		const server = createServer((request, response) => {
			const answer = this.#answers.get(request.url ?? '');
			response.writeHead(answer === undefined ? 404 : 200, {'content-type': 'application/octet-stream'});
			response.end(answer);
		});
		try {
			await new Promise<void>((listening, failed) => {
				server.once('error', failed);
				server.listen({port, ...(address !== undefined && {host: address})}, listening);
			});
		} catch (error) {
			const {code} = error as NodeJS.ErrnoException;
			throw new GatepassError(
				{
					code: 'challenge-port-unavailable',
					what: `Nothing could listen on ${address ?? 'this machine'}, port ${port}, for the challenge http-01 (${code})`,
					hint: hintFor(code),
				},
				{cause: error},
			);
		}
		return server;
	}
}

function hintFor(code: string | undefined): string {
	if (code === 'EADDRINUSE') return "Use the server that listens there ('webroot'), or stop it meanwhile";
	if (code === 'EACCES')
		return 'Ports below 1024 need root, or another port to which this one is led (--http-01-port)';
	return 'Name an address of this machine';
}

/** Writes the answers below the folder that a web server shows. */
export class WebrootAuthenticator implements Authenticator {
	readonly name = 'webroot';
	readonly challenges = ['http-01'];
	readonly #folder: string;

	constructor(folder: string) {
		this.#folder = folder;
	}

	async perform({token, keyAuthorization}: ChallengeTask): Promise<CleanUp> {
		// What a server sends becomes a file's name here.
		if (!/^[\w-]{1,512}$/.test(token)) {
			throw new GatepassError({
				code: 'acme-answer-unusable',
				what: 'The authority sent a token for http-01 that is no token',
				hint: 'Ask whoever runs it',
			});
		}
		const folders = ['.well-known', '.well-known/acme-challenge'].map(part =>
			join(resolve(this.#folder), part),
		);
		const made: string[] = [];
		for (const folder of folders) {
			if ((await mkdir(folder, {recursive: false}).catch(ignoreExisting)) !== 'there') made.push(folder);
		}
		const file = join(folders[1] as string, token);
		await replaceFile(file, keyAuthorization, 0o644);
		return async () => {
			await rm(file, {force: true});
			// Others may have put something in meanwhile.
			for (const folder of made.reverse()) await rmdir(folder).catch(() => {});
		};
	}
}

function ignoreExisting(error: NodeJS.ErrnoException): 'there' {
	if (error.code === 'EEXIST') return 'there';
	throw new GatepassError(
		{
			code: 'challenge-folder-unusable',
			what: `The folder for challenges cannot be made (${error.code})`,
			hint: 'Check that the webroot is there, and its rights',
		},
		{cause: error},
	);
}
