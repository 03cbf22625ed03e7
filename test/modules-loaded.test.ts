/** What is loaded before the first request: a program that starts pays for it each time, so what two plain rules do not need stays on the disk. */
import {expect, test} from 'vitest';
import {startChild} from './bench/child.ts';
import type {ImportCost, Imported} from './bench/import-probe.ts';
import {sourcesIn} from './built-sources.ts';

async function modulesOf(imported: Imported): Promise<readonly string[]> {
	const {child, greeting} = await startChild<ImportCost>('import-probe.ts', {imported, modules: true}, [
		'--expose-gc',
	]);
	await child.close();
	return greeting.modules;
}

function sourcesOf(modules: readonly string[]): readonly string[] {
	const own = modules.filter(url => url.includes('/dist/'));
	return own.flatMap(url => sourcesIn(new URL(url)).map(({source}) => source));
}

test("import 'gatepass' loads no code that sends, nor any of X.509, TLS or configurations", async () => {
	const modules = await modulesOf('gatepass');
	const sources = sourcesOf(modules);
	expect(sources).toContain('src/define-config.ts');
	expect(sources.filter(source => /^src\/(?:x509|tls|transports|config|trust)\//.test(source))).toEqual([]);
	expect(modules.length, modules.join('\n')).toBeLessThanOrEqual(60);
});

test('createGatepass() with two rules loads 120 files at most', async () => {
	const modules = await modulesOf('gatepass and createGatepass()');
	const sources = sourcesOf(modules);
	expect(sources).toContain('strategies/sso-client-credentials/index.ts');
	const packages = /\/node_modules\/(?:got|yaml|keyv|undici|oauth4webapi|@peculiar)\//;
	expect(modules.filter(url => packages.test(url))).toEqual([]);
	// No rule names a certificate, and no entry of trust CA certificates.
	const unneeded =
		/^src\/(?:identities\/(?!lazy)|trust\/(?!no-trust)|issuers|installers|lineages|serve|bundles)/;
	expect(sources.filter(source => unneeded.test(source))).toEqual([]);
	expect(modules.length, modules.join('\n')).toBeLessThanOrEqual(120);
});
