/**
 * Two realms that trust each other, as FreeIPA and Active Directory do: GATEPASS.TEST refers the hosts of second.test
 * to SECOND.TEST. Clients know where the KDCs are, and of no host in which realm it is.
 */
import {readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {type Kdc, startKdc} from './kdc.ts';

export interface TwoRealms {
	readonly first: Kdc;
	readonly second: Kdc;
	/** The file for KRB5_CONFIG of clients and servers, without [domain_realm]; and one with it. */
	readonly configuration: string;
	readonly withDomains: string;
	/** For both realms. */
	ticket(realm: 'first' | 'second', cache: string): Promise<void>;
	close(): Promise<void>;
}

const names = {first: 'GATEPASS.TEST', second: 'SECOND.TEST'};
const domains = {'.second.test': names.second, '.first.test': names.first};

export async function startTwoRealms(): Promise<TwoRealms> {
	const first = await startKdc({realm: names.first, domains, services: ['HTTP/www.first.test']});
	try {
		const second = await startKdc({
			realm: names.second,
			domains,
			services: ['HTTP/www.second.test', 'HTTP/www.second.test:8443', 'HTTP/www'],
		});
		await Promise.all([trust(first), trust(second)]);
		const configuration = join(first.folder, 'both.conf');
		const withDomains = join(first.folder, 'both-with-domains.conf');
		const own = await readFile(first.configuration, 'utf8');
		const both = own.replace(
			'[realms]\n',
			`[realms]\n\t${names.second} = {\n\t\tkdc = 127.0.0.1:${second.port}\n\t}\n`,
		);
		await writeFile(configuration, both.replace(/\[domain_realm\][^[]*/, ''));
		await writeFile(withDomains, both);
		return {
			first,
			second,
			configuration,
			withDomains,
			async ticket(realm, cache) {
				await {first, second}[realm].ticket({cache});
			},
			async close() {
				await Promise.all([first.close(), second.close()]);
			},
		};
	} catch (error) {
		await first.close();
		throw error;
	}
}

/** The key of the trust, which both have: tickets of either count in the other. */
async function trust(kdc: Kdc): Promise<void> {
	for (const [one, other] of [
		[names.first, names.second],
		[names.second, names.first],
	]) {
		await kdc.administer(`addprinc -pw key-of-the-trust krbtgt/${other}@${one}`);
	}
}
