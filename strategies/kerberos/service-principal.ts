/**
 * Names a service to the library. The name is a host-based one (RFC 4120 section 6.2, NT-SRV-HST): for no other does a
 * KDC refer to another realm, nor does `.k5identity` look at the host. DNS is asked where the rule says so: by itself
 * the library would ask it or not, as the machine's configuration says, which is left to it for names without a dot.
 */
import {canonicalHost} from './canonical-host.ts';
import {importName, succeed} from './gss-failure.ts';
import {bufferOf, type GssCalls, oids} from './gss-library.ts';
import type {GssService} from './gss-provider.ts';
import {escaped} from './keytab-file.ts';
import type {CacheCalls} from './krb5-library.ts';
import {type Koffi, type Pointer, place} from './native.ts';

/** RFC 4120 section 6.2. */
const hostBased = 3;

export class ServicePrincipal {
	/** For the GSS-API. */
	name: Pointer;
	/** For libkrb5, where there is one. */
	readonly principal: Pointer;
	/** `HTTP/www.example.org@EXAMPLE.ORG`; without a realm where the KDC is to know it. */
	readonly text: string;
	readonly #calls: GssCalls;
	#uses = 1;

	constructor(calls: GssCalls, service: GssService) {
		this.#calls = calls;
		const {caches} = calls;
		const parts = partsOf(calls.koffi, service);
		this.principal = caches === undefined ? null : this.#principalFor(parts, caches);
		this.text = this.principal === null ? service.target : (caches?.nameOf(this.principal) ?? '');
		try {
			this.name =
				this.principal === null || calls.kind === 'heimdal'
					? this.#importHostBased(parts)
					: this.#importPrincipal(this.principal);
		} catch (error) {
			this.#freePrincipal();
			throw error;
		}
	}

	/** One more that uses it, and has to let go of it. */
	share(): this {
		this.#uses += 1;
		return this;
	}

	release(): void {
		this.#uses -= 1;
		if (this.#uses > 0) return;
		this.#calls.releaseName([0], [this.name]);
		this.#freePrincipal();
	}

	#principalFor({type, host, trailer}: Parts, caches: CacheCalls): Pointer {
		const {koffi, kind} = this.#calls;
		const {context, hostBasedPrincipal, parseName, realmOf} = caches;
		const result = place();
		if (isShort(host) && hostBasedPrincipal !== undefined) {
			const failed = hostBasedPrincipal(context, `${host}${trailer}`, type, hostBased, result);
			return failed === 0 ? result[0] : null;
		}
		const name = `${[type, `${host}${trailer}`].map(escaped).join('/')}@${escaped(realmOf(host))}`;
		if (parseName(context, name, result) !== 0) return null;
		// It was taken for a name of no known type.
		if (kind === 'mit') koffi.encode(result[0], typeOffset(koffi), 'int32_t', hostBased);
		else caches.setNameType?.(context, result[0], hostBased);
		return result[0];
	}

	/** Whether the library has to be told in which realm the service is, once it is known whose tickets are used. */
	get isToBeReferred(): boolean {
		return this.#calls.krb5 !== undefined && this.text.endsWith('@');
	}

	/**
	 * Find out in which realm the service is, where the configuration does not say: by the KDC's referrals. Heimdal's
	 * GSS-API makes one of the host's domain.
	 *
	 * @param cache the name of the cache with the tickets.
	 */
	refer(cache: string | undefined): void {
		const {krb5} = this.#calls;
		if (krb5 === undefined || cache === undefined || !this.isToBeReferred) return;
		const {context, resolveCache, cachePrincipal, closeCache, freePrincipal, referredName} = krb5;
		const [tickets, client] = [place(), place()];
		try {
			if (resolveCache(context, cache, tickets) !== 0) return;
			if (cachePrincipal(context, tickets[0], client) !== 0) return;
			const name = referredName(tickets[0], client[0], this.principal);
			// The library says in its own words why there is no ticket.
			if (name === undefined) return;
			const before = this.name;
			this.name = importName(this.#calls, name, oids.principal);
			this.#calls.releaseName([0], [before]);
		} finally {
			if (client[0] !== null) freePrincipal(context, client[0]);
			if (tickets[0] !== null) closeCache(context, tickets[0]);
		}
	}

	#importHostBased({type, host, trailer}: Parts): Pointer {
		const {krb5} = this.#calls;
		if (krb5 !== undefined && !isShort(host) && this.principal !== null) {
			return importName(this.#calls, this.text, oids.principal);
		}
		krb5?.setDnsCanonicalization(isShort(host) && krb5.canonicalizesByDns() ? 1 : 0);
		return importName(this.#calls, `${type}@${host}${trailer}`, oids.hostBased);
	}

	/** MIT takes the address of a principal for a name. */
	#importPrincipal(principal: bigint): Pointer {
		const address = new BigUint64Array([principal]);
		const [minor, result]: [[number], [Pointer]] = [[0], place()];
		const bytes = new Uint8Array(address.buffer);
		const major = this.#calls.importName(minor, bufferOf(bytes), oids.principalStructure, result);
		succeed(this.#calls, 'name', major, minor);
		return result[0];
	}

	#freePrincipal(): void {
		const {caches} = this.#calls;
		if (caches !== undefined && this.principal !== null) caches.freePrincipal(caches.context, this.principal);
	}
}

interface Parts {
	readonly type: string;
	readonly host: string;
	/** A port with its colon, or nothing. */
	readonly trailer: string;
}

/** `HTTP@www.example.org:8443`: a port belongs to the name and not to the host. */
function partsOf(koffi: Koffi, {target, canonicalizeHostname}: GssService): Parts {
	const separator = target.indexOf('@');
	const [, given = '', trailer = ''] = /^([^:]*)(:[^:]+)?$/s.exec(target.slice(separator + 1)) ?? [
		'',
		target.slice(separator + 1),
	];
	const host = canonicalizeHostname ? canonicalHost(koffi, given) : given.toLowerCase();
	return {type: target.slice(0, separator), host, trailer};
}

/** The loopback name is nobody's to extend. */
export function isShort(host: string): boolean {
	return !/[.:]/.test(host) && host !== 'localhost';
}

let offset: number | undefined;

/** Of the type in `krb5_principal_data`, which <krb5.h> has programs write to. */
function typeOffset(koffi: Koffi): number {
	const data = {magic: 'int32_t', length: 'uint32_t', data: 'void *'};
	offset ??= koffi.offsetof(
		koffi.struct({
			magic: 'int32_t',
			realm: koffi.struct(data),
			data: 'void *',
			length: 'int32_t',
			type: 'int32_t',
		}),
		'type',
	);
	return offset;
}
