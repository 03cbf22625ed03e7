/** `gatepass serve`: the local proxy as a service. */
import {createWriteStream, realpathSync} from 'node:fs';
import process from 'node:process';
import type {Command} from 'commander';
import type {ServingGatepass} from '../gatepass.ts';
import {readVariable} from '../strategy/variables.ts';
import {UsageError} from './failure.ts';
import {note, printAsItIs} from './output.ts';
import {examples, type GlobalOptions, optionsOf} from './settings.ts';

interface ServeOptions extends GlobalOptions {
	readonly listen?: string;
	readonly accessLog: string;
	readonly grace: string;
	readonly printUnits?: string | true;
	readonly telemetry?: true;
}

export function addServeCommand(program: Command): void {
	program
		.command('serve')
		.summary('run a local proxy, for programs that are not Node')
		.description(
			"Run a proxy on this machine that adds the credentials of the host rules to any program's requests, until it " +
				"is stopped. 'serve' in the configuration says where it listens and what its paths lead to. Reads the " +
				'configuration again on SIGHUP and when it changes.',
		)
		.option('--listen <where>', 'HOST:PORT or unix:PATH, instead of what the configuration says')
		.option(
			'--access-log <file>',
			"where to write a line of JSON for each request; '-' is stdout, 'off' is nowhere",
			'-',
		)
		.option('--grace <seconds>', 'how long requests may go on when the proxy is stopped', '30')
		.option('--telemetry', 'record spans and metrics through @opentelemetry/api, for an SDK that is set up')
		.option('--print-units [scope]', "print units for systemd ('user' or 'system'), and end")
		.addHelpText(
			'after',
			examples(
				'gatepass serve',
				'gatepass serve --listen unix:/run/user/1000/gatepass.sock',
				'gatepass serve --print-units user',
			),
		)
		.action(async (_own: unknown, command: Command) => serve(optionsOf<ServeOptions>(command)));
}

async function serve(options: ServeOptions): Promise<void> {
	const grace = Number(options.grace) * 1000;
	if (!(grace >= 0))
		throw new UsageError('The value of --grace is no number of seconds. Give one such as 30');
	const [
		{createForServing},
		{Activity},
		{LocalProxy},
		{AccessLog},
		{makeSecret},
		{authorityFolder, keptAuthority},
		{Authority, constraintsOf},
		{writeCaFiles},
		{notifySystemd, printUnits},
		{watchConfiguration},
	] = await Promise.all([
		import('../gatepass.ts'),
		import('../serve/activity.ts'),
		import('../serve/proxy.ts'),
		import('../serve/access-log.ts'),
		import('../serve/secret.ts'),
		import('../serve/authority-file.ts'),
		import('../serve/authority.ts'),
		import('../serve/ca-files.ts'),
		import('../serve/units.ts'),
		import('../serve/watch.ts'),
	]);
	const {mkdtemp, mkdir, rename, rm} = await import('node:fs/promises');
	const {join} = await import('node:path');
	const toldToStop = stopped();
	const activity = new Activity();
	const load = (): Promise<ServingGatepass> =>
		createForServing(
			{
				...(options.config !== undefined && {config: options.config}),
				...(options.telemetry === true && {telemetry: true}),
			},
			activity.listener,
		);
	let serving = await load();
	const settingsOf = ({configuration}: ServingGatepass) => configuration.serve;
	const listen = options.listen === undefined ? undefined : await parseListen(options.listen, serving);
	const first = listen === undefined ? settingsOf(serving) : {...settingsOf(serving), listen};

	if (options.printUnits !== undefined) {
		const scope = options.printUnits === true ? 'user' : options.printUnits;
		if (scope !== 'user' && scope !== 'system') {
			throw new UsageError("The value of --print-units is no scope. Give 'user' or 'system'");
		}
		const {file: configuration} = serving.configuration;
		const program = realpathSync(process.argv[1] as string);
		printAsItIs(printUnits({listen: first.listen, scope, node: process.execPath, program, configuration}));
		await serving.gatepass.close();
		return;
	}

	const {environment} = serving.configuration;
	const given = first.secret ?? (readVariable(environment, 'GATEPASS_SECRET') || undefined);
	if (given !== undefined && given.length < 32) {
		throw new UsageError(
			'GATEPASS_SECRET is too short. Give at least 32 characters, such as `openssl rand -hex 32` prints',
		);
	}
	const isForOwner = 'path' in first.listen;
	const isOpen = first.allowLocalUsers || (isForOwner && given === undefined);
	const secret = isOpen ? undefined : (given ?? makeSecret());

	const folder = authorityFolder(environment);
	let authority: InstanceType<typeof Authority> | undefined;
	const takeAuthority = async (): Promise<void> => {
		const {serve: settings, hostRules} = serving.configuration;
		if (!settings.forward || settings.intercept === 'off') return;
		const patterns = hostRules.filter(({strategy}) => strategy !== 'none').flatMap(rule => rule.patterns);
		const constraints = constraintsOf(patterns);
		const {material, isNew} = await keptAuthority(folder, constraints);
		if (authority?.root === material.root) return;
		const isReplaced = authority !== undefined;
		authority = new Authority(material);
		// Written beside and moved into place: programs may be reading the files before.
		await mkdir(folder, {recursive: true, mode: 0o700});
		const made = await mkdtemp(join(folder, 'ca-'));
		writeCaFiles(made, material.root, environment);
		const files = join(folder, 'ca');
		await rm(files, {recursive: true, force: true});
		await rename(made, files);
		if (constraints === undefined) {
			note('note: a rule is for every host, so the CA of the proxy is, too: guard its key');
		}
		if (isReplaced || isNew) {
			note(
				`note: tunnels are opened with a new CA. Let programs trust ${join(files, 'ca-bundle.pem')}, and start those again that are running`,
			);
		}
	};
	await takeAuthority();

	const logFile = options.accessLog;
	const stream =
		logFile === 'off' || logFile === '-' ? undefined : createWriteStream(logFile, {flags: 'a', mode: 0o600});
	stream?.on('error', error => note(`note: the access log cannot be written: ${error.message}`));
	const log =
		logFile === 'off' ? undefined : new AccessLog(text => void (stream ?? process.stdout).write(text));
	const tell = (text: string): void => note(`note: ${text}`);
	const proxy = new LocalProxy(serving, {
		secret,
		activity,
		log,
		tell,
		authority: () => {
			if (authority === undefined) throw new Error('No tunnel is opened without a CA');
			return authority;
		},
	});
	const place = await proxy.listen(first);
	note(`gatepass serves ${place}`);
	if (first.routes.length > 0) {
		for (const {prefix, target} of first.routes) note(`  ${prefix || '/'} leads to ${target.href}`);
	}
	if (secret !== undefined && given === undefined) {
		note(`The secret of this run, which is not shown again (GATEPASS_SECRET sets one that stays): ${secret}`);
	}
	if (first.allowLocalUsers && !isForOwner) {
		note('note: every local user can use the credentials (serve.allowLocalUsers)');
	}
	await notifySystemd('--ready', `--status=Serving ${place}`);

	let reloading: Promise<void> = Promise.resolve();
	const reload = (): void => {
		reloading = reloading.then(async () => {
			try {
				const next = await load();
				const before = settingsOf(serving);
				serving = next;
				await takeAuthority();
				proxy.replace(next);
				note('The new configuration is in force');
				const {listen: where, tls, secret: own, allowLocalUsers} = settingsOf(next);
				const isSame =
					JSON.stringify([where, tls, own, allowLocalUsers]) ===
					JSON.stringify([before.listen, before.tls, before.secret, before.allowLocalUsers]);
				if (!isSame) {
					tell('where the proxy listens, its TLS and its secret change at the next start only');
				}
			} catch (error) {
				const {message} = error as Error;
				activity.reloadFailure = message;
				activity.warn(`The new configuration is not in force: ${message}`);
				note(`error: the new configuration is not in force; the one before stays. ${message}`);
			}
		});
	};
	const {file} = serving.configuration;
	const watching = file === undefined ? undefined : watchConfiguration(file, reload);
	process.on('SIGHUP', reload);
	await toldToStop;
	note('Stopping: what is under way is finished first. The same signal again ends it at once');
	await notifySystemd('STOPPING=1');
	watching?.stop();
	await reloading;
	const impatient = stopped()
		.then(() => proxy.close(0))
		.then(() => process.exit());
	impatient.catch(() => {});
	await proxy.close(grace);
	stream?.end();
}

/** Resolves at the next signal to stop. */
function stopped(): Promise<void> {
	return new Promise(resolve => {
		for (const signal of ['SIGINT', 'SIGTERM'] as const) {
			process.removeAllListeners(signal);
			process.once(signal, () => resolve());
		}
	});
}

/** Read like the setting of that name. */
async function parseListen(written: string, {configuration}: ServingGatepass) {
	const {isOnThisMachine, parseListenAddress} = await import('../config/validate-serve.ts');
	const place = parseListenAddress(
		written,
		configuration.folder,
		configuration.environment,
		(message, hint) => {
			throw new UsageError(`The value of --listen cannot be used: ${message}. ${hint}`);
		},
	);

	const {tls, allowLocalUsers} = configuration.serve;
	if ('host' in place && !isOnThisMachine(place.host) && (tls === undefined || allowLocalUsers)) {
		throw new UsageError(
			"Beyond this machine, the proxy listens with TLS and a secret only. Set 'serve.tls', and take out 'allowLocalUsers'",
		);
	}
	return place;
}
