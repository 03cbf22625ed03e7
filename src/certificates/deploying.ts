/** Puts certificates into what the configuration, or a caller, names: one after the other, since installers change files of others. */
import type {InstallerSettings} from '../config/certificate-settings.ts';
import {GatepassError} from '../errors.ts';
import type {Checkpoints} from '../installers/checkpoints.ts';
import type {DeployedLineage, Enhancements, Installer} from '../installers/installer.ts';
import type {CertbotFolder} from '../lineages/certbot/folder.ts';
import {domainsOf, Lineage} from '../lineages/certbot/lineage.ts';
import type {ManagerParts} from './parts.ts';
import {Turns} from './turns.ts';

const knownEnhancements: readonly string[] = ['redirect', 'hsts', 'stapling', 'headers'];

/** @throws {GatepassError} for one that there is not. */
export function checkEnhancements(enhancements: Enhancements): void {
	const unknown = Object.keys(enhancements).find(name => !knownEnhancements.includes(name));
	if (unknown === undefined) return;
	throw new GatepassError({
		code: 'setting-unknown',
		what: `There is no enhancement '${unknown}'`,
		hint: `There are ${knownEnhancements.join(', ')}`,
	});
}

export class Deploying {
	readonly #parts: ManagerParts;
	readonly #folder: CertbotFolder;
	readonly #checkpoints: Checkpoints;
	readonly #turns = new Turns();

	constructor(parts: ManagerParts, folder: CertbotFolder, checkpoints: Checkpoints) {
		this.#parts = parts;
		this.#folder = folder;
		this.#checkpoints = checkpoints;
	}

	async deploy(lineage: Lineage, settings?: InstallerSettings): Promise<void> {
		await this.#turns.take(true, async () => this.#installer(settings).deploy(await deployed(lineage)));
	}

	/** @throws {GatepassError} for what the installer has not, and where no certificate is for these names. */
	async enhance(
		domains: readonly string[],
		enhancements: Enhancements,
		settings?: InstallerSettings,
	): Promise<void> {
		const installer = this.#installer(settings);
		if (installer.enhance === undefined) {
			throw new GatepassError({
				code: 'installer-cannot-enhance',
				what: `The installer '${installer.name}' has nothing to enhance`,
				hint: 'Configure the installer of a web server',
			});
		}
		await installer.enhance(await deployed(await this.#lineageFor(domains)), enhancements);
	}

	#installer(settings = this.#parts.settings.installer): Installer {
		if (settings !== undefined) return this.#parts.makeInstaller(settings, this.#checkpoints);
		throw new GatepassError({
			code: 'installer-missing',
			what: 'There is no installer',
			hint: "Name one under 'certificates' in the configuration",
		});
	}

	async #lineageFor(domains: readonly string[]): Promise<Lineage> {
		for (const name of await this.#folder.names()) {
			const lineage = await Lineage.open(this.#folder, name);
			const covered = domainsOf(await lineage.certificate());
			if (domains.every(domain => covered.includes(domain))) return lineage;
		}
		throw new GatepassError({
			code: 'lineage-not-found',
			what: `No certificate here is for ${domains.join(', ')}`,
			hint: 'Obtain one first',
		});
	}
}

async function deployed(lineage: Lineage): Promise<DeployedLineage> {
	return {name: lineage.name, domains: domainsOf(await lineage.certificate()), paths: lineage.paths};
}
