/** Answers to challenges by a person: the terminal says what to do, and waits. */
import type {AuthenticatorFactory} from '../certificates/factories.ts';
import {AcmeError} from '../errors.ts';
import type {ChallengeTask} from '../issuers/acme/authenticators/authenticator.ts';
import {ask} from './ask.ts';
import {canAsk} from './cert-questions.ts';
import {UsageError} from './failure.ts';
import {note as tell} from './output.ts';

export function manualFactory(json: boolean | undefined): AuthenticatorFactory {
	return {
		name: 'manual',
		create: () => ({
			name: 'manual',
			challenges: ['dns-01', 'http-01', 'dns-persist-01', 'dns-account-01'],
			async perform(task) {
				if (!canAsk(json)) {
					throw new UsageError(
						'Nobody is there to answer challenges by hand. Name a command with --manual-auth-hook',
					);
				}
				return askFor(task);
			},
		}),
	};
}

async function askFor(task: ChallengeTask): Promise<() => Promise<void>> {
	const {domain, type, token, keyAuthorization, signal} = task;
	const [{confirm, note}, {dnsChallenges, recordFor}] = await Promise.all([
		import('@clack/prompts'),
		import('../issuers/acme/authenticators/dns-record.ts'),
	]);
	const record = (dnsChallenges as readonly string[]).includes(type) ? recordFor(task) : undefined;
	const place = record?.name ?? `http://${domain}/.well-known/acme-challenge/${token}`;
	const what =
		record !== undefined
			? `Add a TXT record named\n${place}\nwith the value\n${record.value}`
			: `Serve at\n${place}\nthe text\n${keyAuthorization}`;
	const isThere = await ask(settings => {
		note(what, `${domain}: ${type}`, settings);
		return confirm({...settings, message: 'Is it there?'});
	}, signal);
	if (!isThere) {
		throw new AcmeError({
			code: 'acme-challenge-failed',
			what: `The challenge for ${domain} was not answered`,
			hint: 'Run this again when the answer can be put in place; nothing was ordered with it',
		});
	}
	// The record of dns-persist-01 is there for the next time, too.
	return async () => {
		if (type !== 'dns-persist-01') tell(`${place} is not needed any more: you may take it away.`);
	};
}
