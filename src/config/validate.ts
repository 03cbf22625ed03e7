/** Checks a configuration whole, reports every mistake, and turns it into what the rest of gatepass works with. */

import type {z} from 'zod';
import type {HostRule} from '../host-rules/host-rule.ts';
import type {Configuration, TrustEntry} from './configuration.ts';
import type {ValidationContext} from './context.ts';
import type {SecretFile} from './interpolate.ts';
import {describeIssue} from './issues.ts';
import {configurationSchema} from './schema.ts';
import {type Salvaged, salvage} from './settings.ts';
import type {UsedBundles} from './validate-bundles.ts';
import {validateCache} from './validate-cache.ts';
import {validateCertificates} from './validate-certificates.ts';
import {checkProxy} from './validate-proxy.ts';
import {validateRule} from './validate-rule.ts';
import {validateServe} from './validate-serve.ts';

/** Check `value`. Where there are problems, what is returned must not be used. */
export async function validate(
	value: unknown,
	request: Omit<ValidationContext, 'defaults'> & {readonly secretFiles: readonly SecretFile[]},
): Promise<Configuration> {
	const {source, folder, environment, problems, registry} = request;
	// An empty YAML file is null; to a person it is a configuration that is missing.
	const written = value ?? undefined;
	const parsed = configurationSchema.safeParse(written);
	for (const issue of parsed.error?.issues ?? []) {
		for (const {path, message, hint, code} of describeIssue(issue, written, configurationSchema)) {
			problems.add(path, message, hint, code);
		}
	}
	// With the shape wrong in one place, the rest is still worth checking: a person fixes everything in one go.
	const input = parsed.data ?? salvage(configurationSchema, written) ?? {};
	for (const [index, module] of (input.strategies ?? []).entries()) {
		if (module !== undefined) await registry.registerModule(module, ['strategies', index]);
	}
	checkProxy(input.proxy, ['proxy'], problems);
	const {bundles, defaults, ...ofBundles} =
		input.bundles === undefined
			? noBundles
			: await (await import('./validate-bundles.ts')).validateBundles(input.bundles, request);
	const context = {...request, defaults};
	const own = await validateAllTrust(input.trust ?? [], context);
	// What has no secret in a file is never made again.
	const remaking = request.secretFiles.length === 0 ? undefined : await import('./remake-options.ts');
	const hostRules: HostRule[] = [];
	for (const [index, rule] of (input.hostRules ?? []).entries()) {
		const rotating = remaking?.rotatingOptions(index, request.secretFiles, context);
		const checked = await validateRule(rule ?? {}, index, context);
		hostRules.push(rotating === undefined ? checked : {...checked, rotating});
	}
	return {
		...(source.file !== undefined && {file: source.file}),
		folder,
		environment,
		cache: validateCache(input.cache ?? {}, context),
		tokenRequest: {timeout: input.tokenRequest?.timeout ?? 10_000, retries: input.tokenRequest?.retries ?? 2},
		bundles,
		certificates: validateCertificates(input.certificates ?? {}, context),
		serve: validateServe(input.serve ?? {}, context),
		trust: [...ofBundles.trust, ...own],
		strict: input.strict ?? false,
		...(input.proxy !== undefined && {proxy: input.proxy}),
		hostRules,
	};
}

const noBundles: UsedBundles = {bundles: [], trust: [], defaults: new Map()};

async function validateAllTrust(
	entries: NonNullable<Salvaged<z.output<typeof configurationSchema>>['trust']>,
	context: ValidationContext,
): Promise<TrustEntry[]> {
	if (entries.length === 0) return [];
	const {validateTrust} = await import('./validate-trust.ts');
	return entries.map((entry, index) => validateTrust(entry ?? {}, index, context));
}
