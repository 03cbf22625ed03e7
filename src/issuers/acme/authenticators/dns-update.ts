/**
 * Answers challenges by DNS, by updates of the zone under a shared key (RFC 2136, TSIG). Aliases are followed first, and
 * the record is asked for afterwards: an update of an alias, or below a cut of the zone, is answered with yes and changes
 * nothing that an authority sees.
 */
import {Resolver} from 'node:dns/promises';
import {setTimeout as pause} from 'node:timers/promises';
import {GatepassError} from '../../../errors.ts';
import {
	classes,
	decodeName,
	decodeText,
	encodeText,
	type Message,
	type ResourceRecord,
	types,
} from '../dns/message.ts';
import {NameServer} from '../dns/name-server.ts';
import type {SharedKey} from '../dns/tsig.ts';
import type {Authenticator, ChallengeTask, CleanUp} from './authenticator.ts';
import {dnsChallenges, recordFor} from './dns-record.ts';

export interface DnsUpdateSettings {
	/** The name server that takes updates. */
	readonly server: string;
	readonly port?: number | undefined;
	readonly key: SharedKey;
	/** Seconds that others may keep the record. Default: 60. */
	readonly ttl?: number | undefined;
	/** Milliseconds until the zone's other name servers have it. Default: 0. */
	readonly propagation?: number | undefined;
	/** Milliseconds for one question. Default: 15,000. */
	readonly timeout?: number | undefined;
	/** Where a name that another name server is in charge of is an alias to. Default: as this machine resolves names. */
	readonly aliasOf?: ((name: string) => Promise<string | undefined>) | undefined;
}

/** Longer chains of aliases lead in a circle. */
const mostAliases = 10;

export class DnsUpdateAuthenticator implements Authenticator {
	readonly name = 'dns-update';
	readonly isShareable = true;
	readonly challenges = dnsChallenges;
	readonly #load: () => Promise<DnsUpdateSettings>;

	/** `load` is asked at each challenge, for the key may stand in a file. */
	constructor(load: () => Promise<DnsUpdateSettings>) {
		this.#load = load;
	}

	async perform(task: ChallengeTask): Promise<CleanUp> {
		return new ZoneChange(await this.#load()).perform(task);
	}
}

/** One record on its way into its zone. */
class ZoneChange {
	readonly #settings: DnsUpdateSettings;
	readonly #server: NameServer;

	constructor(settings: DnsUpdateSettings) {
		this.#settings = settings;
		this.#server = new NameServer(settings);
	}

	async perform(task: ChallengeTask): Promise<CleanUp> {
		const {ttl = 60, propagation = 0} = this.#settings;
		const {signal} = task;
		const {name, value, isPersistent} = recordFor(task);
		const target = await this.#target(name, signal);
		const isThere = await this.#has(target, value, signal);
		const zone = await this.#zoneOf(target, signal);
		const record = {name: target, type: types.TXT, data: encodeText(value)};
		const remove = async (): Promise<void> => {
			// This one record, and not what others have under the same name.
			await this.#server.update(zone, [{...record, class: classes.NONE, ttl: 0}]);
		};
		if (!isThere) {
			// Added: a name and its wildcard are proven by two records of one name.
			await this.#server.update(zone, [{...record, class: classes.IN, ttl}], signal);
			if (!(await this.#has(target, value, signal))) {
				await remove().catch(() => {});
				throw new GatepassError({
					code: 'dns-update-failed',
					what: `The name server ${this.#server.place} took the record ${target}, and does not show it`,
					hint: `See whether ${target} is an alias, or lies in a zone of its own`,
				});
			}
			await pause(propagation, undefined, {signal});
		}
		return async () => {
			if (!isPersistent && !isThere) await remove();
		};
	}

	/** Where the record has to be, once all aliases are followed. */
	async #target(name: string, signal: AbortSignal | undefined): Promise<string> {
		const {aliasOf = systemAlias} = this.#settings;
		let target = name;
		for (let step = 0; step < mostAliases; step++) {
			const answer = await this.#server.query(target, types.CNAME, signal);
			const own = answer.answers.find(one => one.type === types.CNAME && one.name === target.toLowerCase());
			const alias = own === undefined ? undefined : nameIn(answer, own);
			// Who is not in charge does not know.
			const next = alias ?? (answer.isAuthoritative ? undefined : await aliasOf(target));
			if (next === undefined) return target;
			target = next;
		}
		throw new GatepassError({
			code: 'dns-update-failed',
			what: `The aliases of ${name} lead in a circle`,
			hint: 'Put the CNAME records right',
		});
	}

	/** The zone that holds a name: its server names it in every answer. */
	async #zoneOf(name: string, signal: AbortSignal | undefined): Promise<string> {
		const {isAuthoritative, answers, authorities} = await this.#server.query(name, types.SOA, signal);
		const start = [...answers, ...authorities].find(({type}) => type === types.SOA);
		if (isAuthoritative && start !== undefined) return start.name;
		const cut = authorities.find(({type}) => type === types.NS);
		throw new GatepassError({
			code: 'dns-update-failed',
			what:
				cut === undefined
					? `The name server ${this.#server.place} is not in charge of ${name}`
					: `The name server ${this.#server.place} is not in charge of ${name}: ${cut.name} is a zone of its own, on other servers`,
			hint: `Name the server of that zone, or lead ${name} by a CNAME into a zone that this one has`,
		});
	}

	async #has(name: string, value: string, signal: AbortSignal | undefined): Promise<boolean> {
		const {answers, isAuthoritative} = await this.#server.query(name, types.TXT, signal);
		return (
			isAuthoritative &&
			answers.some(
				one => one.type === types.TXT && one.name === name.toLowerCase() && decodeText(one.data) === value,
			)
		);
	}
}

/** The data of a CNAME may go on elsewhere in the message, so it is read in its place. */
function nameIn({bytes}: Message, {data}: ResourceRecord): string {
	return decodeName(bytes, data.byteOffset - bytes.byteOffset).name;
}

async function systemAlias(name: string): Promise<string | undefined> {
	const resolver = new Resolver({timeout: 5000, tries: 2});
	return (await resolver.resolveCname(name).catch((): string[] => []))[0];
}
