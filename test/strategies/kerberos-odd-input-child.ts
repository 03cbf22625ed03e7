/**
 * Goes through input that is odd but comes from configurations and disks, and prints what became of each. Parameters:
 * library, a ticket file, a key table, and a folder to write to.
 */
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {CredentialSource} from '../../strategies/kerberos/gss-messages.ts';
import {KoffiProvider} from '../../strategies/kerberos/koffi-provider.ts';

const [library = '', tickets = '', keys = '', folder = ''] = process.argv.slice(2);
const written = join(folder, `odd-${library}`);
const collection = `DIR:${folder}`;

/** A file cut off, and with each of its parts changed to numbers beyond all bounds. */
function* variantsOf(file: string): Generator<Buffer> {
	const good = readFileSync(file);
	for (let length = 0; length < good.length; length += 61) yield good.subarray(0, length);
	for (let position = 0; position < good.length - 4; position += 37) {
		for (const number of [0x7fff_ffff]) {
			const changed = Buffer.from(good);
			changed.writeUInt32BE(number, position);
			yield changed;
		}
	}
}

const providerFor = (source: CredentialSource): KoffiProvider =>
	new KoffiProvider({library, source, timeout: 30_000, rule: 'a rule'});

async function attempt(source: CredentialSource, target: string): Promise<void> {
	const provider = providerFor(source);
	await attemptBy(provider, target);
	await provider.close();
}

async function attemptBy(provider: KoffiProvider, target: string): Promise<void> {
	const service = {target, canonicalizeHostname: false};
	let outcome = 'a token';
	try {
		await provider.whose(service);
		const context = await provider.createContext({
			...service,
			mechanism: 'spnego',
			mutualAuthentication: true,
			delegate: false,
			channelBindings: undefined,
			renew: false,
		});
		context.dispose();
	} catch (error) {
		outcome = (error as Error).name;
	}
	console.log(outcome);
}

const hosts = ['', ':80', '.', '%', 'a@b', 'a/b.c', 'ä.test', 'a'.repeat(3000), '::1', 'localhost.'];
for (const host of hosts) await attempt({credentialCache: `FILE:${tickets}`}, `HTTP@${host}`);
for (const name of ['DIR:', 'DIR::x', 'FILE:', 'KCM:', 'KEYRING:x', 'SCC:/x', ':', 'X:y']) {
	for (const principal of [undefined, '/@']) {
		await attempt({credentialCache: name, principal}, 'HTTP@localhost');
		process.env.KRB5CCNAME = name;
		await attempt({principal}, 'HTTP@localhost');
	}
}
for (const primary of ['', 'tkt', 'tktmissing\n', '../x\n', 'x'.repeat(5000)]) {
	writeFileSync(join(folder, 'primary'), primary);
	process.env.KRB5CCNAME = collection;
	for (const principal of [undefined, 'alice@GATEPASS.TEST']) {
		await attempt({credentialCache: collection, principal}, 'HTTP@localhost');
		await attempt({principal}, 'HTTP@localhost');
	}
}
for (const [file, source] of [
	[tickets, {credentialCache: `FILE:${written}`}],
	[keys, {keytab: written, principal: 'alice@GATEPASS.TEST'}],
] as const) {
	const provider = providerFor(source);
	for (const bytes of variantsOf(file)) {
		writeFileSync(written, bytes);
		await attemptBy(provider, 'HTTP@localhost');
	}
	await provider.close();
}
console.log('the end');
