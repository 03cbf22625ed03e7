/** Answers http-01 (RFC 8555 section 8.3) by a server of its own, or by files in the folder of one that runs already. */

import {mkdir, rm, rmdir} from 'node:fs/promises';
import type {Server} from 'node:http';
import {join, resolve} from 'node:path';
import process from 'node:process';
import {GatepassError} from '../../../errors.ts';
import {replaceFile} from '../../../files/durable.ts';
import type {Authenticator, ChallengeTask, CleanUp} from './authenticator.ts';
import {ChallengeListener, type ListenerKind, type ListenerSettings} from './challenge-listener.ts';

const path = '/.well-known/acme-challenge/';

/** To put an answer in its folder. */
const mostAttempts = 5;

/** Listens while challenges are open, and no longer. */
export class StandaloneAuthenticator implements Authenticator {
	readonly name = 'standalone';
	readonly isShareable = true;
	readonly challenges = ['http-01'];
	readonly #listener: ChallengeListener<Server, string>;

	constructor(settings: ListenerSettings = {}) {
		this.#listener = new ChallengeListener(standalone, settings);
	}

	async perform({token, keyAuthorization}: ChallengeTask): Promise<CleanUp> {
		return this.#listener.open(path + token, keyAuthorization);
	}
}

const standalone: ListenerKind<Server, string> = {
	challenge: 'http-01',
	usualPort: 80,
	// An import of the module would have Node load its `fetch`, for names that nobody uses.
	create: answers =>
		process.getBuiltinModule('node:http').createServer((request, response) => {
			const answer = answers.get(request.url ?? '');
			response.writeHead(answer === undefined ? 404 : 200, {'content-type': 'application/octet-stream'});
			response.end(answer);
		}),
	letGo: server => server.closeAllConnections(),
	hintFor,
};

function hintFor(code: string | undefined): string {
	if (code === 'EADDRINUSE') return "Use the server that listens there ('webroot'), or stop it meanwhile";
	if (code === 'EACCES')
		return 'Ports below 1024 need root, or another port to which this one is led (--http-01-port)';
	return 'Name an address of this machine';
}

/** Writes the answers below the folder that a web server shows. */
export class WebrootAuthenticator implements Authenticator {
	readonly name = 'webroot';
	readonly isShareable = true;
	readonly challenges = ['http-01'];
	readonly #folder: string;
	readonly #paths: Readonly<Record<string, string>>;

	/** @param paths the folders of names that have one of their own. */
	constructor(folder: string, paths: Readonly<Record<string, string>> = {}) {
		this.#folder = folder;
		this.#paths = paths;
	}

	async perform({token, keyAuthorization, domain}: ChallengeTask): Promise<CleanUp> {
		const root = resolve(Object.hasOwn(this.#paths, domain) ? (this.#paths[domain] as string) : this.#folder);
		// What a server sends becomes a file's name here.
		if (!/^[\w-]{1,512}$/.test(token)) {
			throw new GatepassError({
				code: 'acme-answer-unusable',
				what: 'The authority sent a token for http-01 that is no token',
				hint: 'Ask whoever runs it',
			});
		}
		const folders = ['.well-known', '.well-known/acme-challenge'].map(part => join(root, part));
		const made = new Set<string>();
		const file = join(folders[1] as string, token);
		for (let attempt = 1; ; attempt++) {
			try {
				for (const folder of folders) {
					if ((await mkdir(folder).catch(ignoreExisting(folder))) !== 'there') made.add(folder);
				}
				await replaceFile(file, keyAuthorization, 0o644);
				break;
			} catch (error) {
				// Another order may have taken the folders away that it had made.
				const {code, cause} = error as NodeJS.ErrnoException;
				const isGone = [code, (cause as NodeJS.ErrnoException | undefined)?.code].includes('ENOENT');
				if (!isGone || attempt === mostAttempts) throw error;
			}
		}
		return async () => {
			await rm(file, {force: true});
			// Others may have put something in meanwhile.
			for (const folder of [...made].reverse()) await rmdir(folder).catch(() => {});
		};
	}
}

function ignoreExisting(folder: string): (error: NodeJS.ErrnoException) => 'there' {
	return error => {
		if (error.code === 'EEXIST') return 'there';
		throw new GatepassError(
			{
				code: 'challenge-folder-unusable',
				what: `The folder for challenges, ${folder}, cannot be made (${error.code})`,
				hint: 'Check that the webroot is there, and its rights',
			},
			{cause: error},
		);
	};
}
