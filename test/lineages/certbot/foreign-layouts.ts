/** The folders of other ACME clients, as each lays its files out. */
import {mkdir, writeFile} from 'node:fs/promises';
import {dirname, join} from 'node:path';

/** PEM, each. */
export type Contents = Readonly<Record<'certificate' | 'chain' | 'fullchain' | 'privateKey', string>>;

/** As each program lays its files out. */
export const programs: Readonly<Record<string, (one: Contents) => Record<string, string>>> = {
	lego: ({fullchain, chain, privateKey}) => ({
		'certificates/a.example.test.crt': fullchain,
		'certificates/a.example.test.issuer.crt': chain,
		'certificates/a.example.test.key': privateKey,
		'certificates/a.example.test.json': '{"domain": "a.example.test"}',
		'accounts/ca.example.org/me/account.json': '{}',
	}),
	dehydrated: ({certificate, chain, fullchain, privateKey}) => ({
		'certs/a.example.test/cert.pem': certificate,
		'certs/a.example.test/chain.pem': chain,
		'certs/a.example.test/fullchain.pem': fullchain,
		'certs/a.example.test/privkey.pem': privateKey,
		'accounts/x/account_key.pem': privateKey,
	}),
	uacme: ({fullchain, privateKey}) => ({
		'a.example.test/cert.pem': fullchain,
		'private/a.example.test/key.pem': privateKey,
		'private/key.pem': privateKey,
	}),
	acmetool: ({certificate, chain, fullchain, privateKey}) => ({
		'live/a.example.test/cert': certificate,
		'live/a.example.test/chain': chain,
		'live/a.example.test/fullchain': fullchain,
		'live/a.example.test/privkey': privateKey,
	}),
	mod_md: ({fullchain, privateKey}) => ({
		'domains/a.example.test/pubcert.pem': fullchain,
		'domains/a.example.test/privkey.pem': privateKey,
		'domains/a.example.test/md.json': '{}',
	}),
	'acme-tiny': ({fullchain, privateKey}) => ({
		'a.example.test.crt': fullchain,
		'a.example.test.key': privateKey,
		'account.key': privateKey,
	}),
};

export async function writeForeign(folder: string, files: Record<string, string>): Promise<void> {
	for (const [file, content] of Object.entries(files)) {
		await mkdir(dirname(join(folder, file)), {recursive: true});
		// As all of them do: a key is for its owner alone.
		await writeFile(join(folder, file), content, {mode: content.includes('PRIVATE KEY') ? 0o600 : 0o644});
	}
}
