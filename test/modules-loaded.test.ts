/** What is loaded before the first request: a program that starts pays for it each time, so what two plain rules do not need stays on the disk. */
import {expect, test} from 'vitest';
import {startChild} from './bench/child.ts';
import type {ImportCost, Imported} from './bench/import-probe.ts';

async function modulesOf(imported: Imported): Promise<readonly string[]> {
	const {child, greeting} = await startChild<ImportCost>('import-probe.ts', {imported, modules: true}, [
		'--expose-gc',
	]);
	await child.close();
	return greeting.modules;
}

test("import 'gatepass' loads no code that sends, nor any of X.509, TLS or configurations", async () => {
	const modules = await modulesOf('gatepass');
	expect(modules.some(url => url.endsWith('/dist/src/index.js'))).toBe(true);
	expect(modules.filter(url => /\/dist\/src\/(?:x509|tls|transports|config|trust)\//.test(url))).toEqual([]);
	expect(modules.length, modules.join('\n')).toBeLessThanOrEqual(65);
});

test('createGatepass() with two rules loads 300 modules at most, of which zod is a third', async () => {
	const modules = await modulesOf('gatepass and createGatepass()');
	expect(modules.some(url => url.endsWith('/sso-client-credentials/index.js'))).toBe(true);
	const packages = /\/node_modules\/(?:got|yaml|keyv|undici|oauth4webapi|@peculiar)\//;
	expect(modules.filter(url => packages.test(url))).toEqual([]);
	// No rule names a certificate, and no entry of trust CA certificates.
	const unneeded =
		/\/dist\/src\/(?:identities\/(?!lazy)|trust\/(?!no-trust)|issuers|installers|lineages|serve|bundles)/;
	expect(modules.filter(url => unneeded.test(url))).toEqual([]);
	expect(modules.length, modules.join('\n')).toBeLessThanOrEqual(300);
});
