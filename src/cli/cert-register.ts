/** `gatepass cert register` and `gatepass cert account`: the account at an ACME server. */
import type {Command} from 'commander';
import type {RegisterOptions} from '../certificates/accounts.ts';
import type {Certificates} from '../certificates/lazy.ts';
import {AcmeError} from '../errors.ts';
import {type AcmeOptions, addAccountOptions, addServerOptions, withCertificates} from './acme-options.ts';
import {ask} from './ask.ts';
import {canAsk} from './cert-questions.ts';
import {paint, print, printJson} from './output.ts';
import {withProgress} from './progress.ts';
import {examples, optionsOf} from './settings.ts';
import {renderTable} from './table.ts';

export function addCertRegisterCommand(group: Command): void {
	const command = group
		.command('register')
		.summary('register an account at an ACME server')
		.description('Register an account at an ACME server, or find the one that is there.');
	addAccountOptions(command)
		.addHelpText(
			'after',
			examples(
				'gatepass cert register --server https://ca.example.org/acme/directory \\',
				'  -m ops@example.org --agree-tos',
				'gatepass cert register --eab-kid kid-1 --eab-hmac-key zWND… --agree-tos',
			),
		)
		.action(async (_own: unknown, own: Command) => {
			const options = optionsOf<AcmeOptions>(own);
			await withCertificates(options, async certificates => {
				const {url, id} = await confirmTerms(certificates, options);
				if (options.json) printJson({url, id});
				else print(`${paint('green', '✔')} the account is ${url}`);
			});
		});
}

/** The account; on a terminal the terms are shown, and a mail address that the server refuses is asked for again. */
export async function confirmTerms(
	certificates: Certificates,
	options: AcmeOptions,
): Promise<{url: string; id: string}> {
	if (!canAsk(options.json)) {
		return withProgress('Asking the authority', options.json !== true, () => certificates.register());
	}
	const {confirm, text} = await import('@clack/prompts');
	const asking: RegisterOptions = {
		...(options.agreeTos !== true && {
			termsOfService: (url: string) =>
				ask(settings =>
					confirm({...settings, message: `Do you agree to the terms at ${url}?`, initialValue: false}),
				),
		}),
	};
	for (let email: string | undefined; ; ) {
		try {
			return await certificates.register(email === undefined ? asking : {...asking, email});
		} catch (error) {
			if (!(error instanceof AcmeError) || !/contact/i.test(error.type ?? '')) throw error;
			email = await ask(settings => text({...settings, message: `${error.message}\nAnother address`}));
		}
	}
}

export function addCertProfilesCommand(group: Command): void {
	addServerOptions(
		group
			.command('profiles')
			.summary('show the profiles that an ACME server offers')
			.description('Show the profiles that an ACME server offers: one can be named with --profile.'),
	)
		.addHelpText('after', examples('gatepass cert profiles --server https://ca.example.org/acme/directory'))
		.action(async (_own: unknown, own: Command) => {
			const options = optionsOf<AcmeOptions>(own);
			await withCertificates(options, async certificates => {
				const profiles = await withProgress('Asking the authority', options.json !== true, () =>
					certificates.profiles(),
				);
				if (options.json) printJson(profiles);
				else if (Object.keys(profiles).length === 0) print('The server offers no profiles.');
				else print(await renderTable(['name', 'what it is'], Object.entries(profiles).map(withoutControls)));
			});
		});
}

/** What a server sends; a terminal would obey control characters. */
function withoutControls(row: readonly string[]): string[] {
	return row.map(text => String(text).replace(/\p{Cc}+/gu, ' '));
}

export function addCertAccountCommand(group: Command): void {
	const account = group
		.command('account')
		.summary('change or end the account at an ACME server')
		.description('Change or end the account at an ACME server.');
	addServerOptions(account.command('update').description('Change the mail address of the account.'))
		.option('-m, --email <address>', 'the new address; without it, the account has none')
		.action(async (_own: unknown, own: Command) => {
			const options = optionsOf<AcmeOptions>(own);
			await withCertificates(options, async certificates => {
				await certificates.updateAccount(options.email);
				if (options.json) printJson({email: options.email ?? null});
				else print(`${paint('green', '✔')} the account is updated`);
			});
		});
	addServerOptions(
		account
			.command('rollover')
			.description('Give the account a new key. The old one is kept until the new one works.'),
	).action(async (_own: unknown, own: Command) => {
		const options = optionsOf<AcmeOptions>(own);
		await withCertificates(options, async certificates => {
			const {id} = await certificates.rolloverAccount();
			if (options.json) printJson({id});
			else print(`${paint('green', '✔')} the account has a new key`);
		});
	});
	addServerOptions(
		account.command('deactivate').description('End the account. Nothing is renewed with it any more.'),
	).action(async (_own: unknown, own: Command) => {
		const options = optionsOf<AcmeOptions>(own);
		await withCertificates(options, async certificates => {
			await certificates.deactivateAccount();
			if (options.json) printJson({deactivated: true});
			else print(`${paint('green', '✔')} the account is deactivated`);
		});
	});
	account
		.command('user-agent')
		.description('Print what gatepass calls itself towards ACME servers.')
		.action(async (_own: unknown, own: Command) => {
			const {userAgent} = await import('../certificates/user-agent.ts');
			const options = optionsOf<AcmeOptions>(own);
			// Without a configuration, a sample.
			const name = await withCertificates(options, async (_, settings) => userAgent(settings));
			if (options.json) printJson({userAgent: name});
			else print(name);
		});
}
