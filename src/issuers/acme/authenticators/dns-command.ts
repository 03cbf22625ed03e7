/** Answers dns-01 (RFC 8555 section 8.4) and http-01 by commands of the user's: certbot's manual hooks, with its variables. */
import {execFile} from 'node:child_process';
import process from 'node:process';
import {GatepassError} from '../../../errors.ts';
import {describeEnd} from '../../command-end.ts';
import type {Authenticator, ChallengeTask, CleanUp} from './authenticator.ts';
import {type DnsRecord, dnsChallenges, recordFor} from './dns-record.ts';

const largestOutput = 256 * 1024;

export interface CommandSettings {
	/** Run by `/bin/sh`, as certbot runs it. Has to end with 0 once the answer is in place. */
	readonly auth: string;
	/** Run afterwards, whatever became of the challenge. */
	readonly cleanup?: string | undefined;
	/** Default: `['dns-01']`. */
	readonly challenges?: readonly string[] | undefined;
	/** Milliseconds for each run. Default: 600,000, as records take their time. */
	readonly timeout?: number | undefined;
}

export class CommandAuthenticator implements Authenticator {
	readonly name = 'manual';
	readonly challenges: readonly string[];
	readonly #settings: CommandSettings;

	constructor(settings: CommandSettings) {
		this.#settings = settings;
		this.challenges = settings.challenges ?? ['dns-01'];
	}

	async perform(task: ChallengeTask): Promise<CleanUp> {
		const {auth, cleanup} = this.#settings;
		const record = (dnsChallenges as readonly string[]).includes(task.type) ? recordFor(task) : undefined;
		const variables = variablesFor(task, record);
		const said = await this.#run('auth', auth, variables, task.signal);
		return async () => {
			// A record that proves later orders, too, is left where it is.
			if (cleanup !== undefined && record?.isPersistent !== true)
				await this.#run('cleanup', cleanup, {...variables, CERTBOT_AUTH_OUTPUT: said});
		};
	}

	#run(
		kind: string,
		command: string,
		variables: Record<string, string>,
		signal?: AbortSignal,
	): Promise<string> {
		const {timeout = 600_000} = this.#settings;
		return new Promise((resolve, reject) => {
			const settings = {
				env: {...process.env, ...variables},
				timeout,
				maxBuffer: largestOutput,
				killSignal: 'SIGKILL' as const,
				...(signal !== undefined && {signal}),
			};
			execFile('/bin/sh', ['-c', command], settings, (error, output, errors) => {
				if (error === null) {
					resolve(output.trim());
					return;
				}
				const words = lastLine(errors);
				reject(
					new GatepassError({
						code: 'hook-failed',
						what: `The ${kind} hook for ${variables.CERTBOT_DOMAIN} ${describeEnd(error, settings)}${words === '' ? '' : `: ${words}`}`,
						hint: 'Run it by hand, with the variables CERTBOT_DOMAIN and CERTBOT_VALIDATION',
					}),
				);
			});
		});
	}
}

/**
 * certbot's, and the name of the record: certbot has no challenge whose record is called otherwise than `dns-01`'s.
 *
 * https://eff-certbot.readthedocs.io/en/stable/using.html#pre-and-post-validation-hooks
 */
function variablesFor(task: ChallengeTask, record: DnsRecord | undefined): Record<string, string> {
	const {domain, token, keyAuthorization, allDomains, remaining} = task;
	return {
		CERTBOT_DOMAIN: domain,
		CERTBOT_VALIDATION: record?.value ?? keyAuthorization,
		...(record === undefined ? {CERTBOT_TOKEN: token} : {GATEPASS_RECORD: record.name}),
		CERTBOT_ALL_DOMAINS: allDomains.join(','),
		CERTBOT_REMAINING_CHALLENGES: String(remaining),
	};
}

function lastLine(errors: string): string {
	const lines = errors.split(/\r?\n/).map(line => line.replace(/\p{Cc}/gu, ' ').trim());
	return (lines.findLast(line => line !== '') ?? '').slice(0, 500).replace(/\.$/, '');
}
