/**
 * The names of the services that a thread was asked for just now. To make one again takes a tenth of the time of a context.
 */
import type {GssCalls} from './gss-library.ts';
import type {GssService} from './gss-provider.ts';
import {isShort, ServicePrincipal} from './service-principal.ts';

/** Milliseconds: as often the libraries look whether their configuration has changed. */
const lifetime = 1000;
/** Services at once; a rule may be for any number of hosts. */
const most = 32;

interface Kept {
	readonly principal: ServicePrincipal;
	readonly madeAt: number;
}

export class ServicePrincipals {
	readonly #calls: GssCalls;
	readonly #kept = new Map<string, Kept>();

	constructor(calls: GssCalls) {
		this.#calls = calls;
	}

	/** The caller has to let go of it. */
	use(service: GssService): ServicePrincipal {
		const {target, canonicalizeHostname} = service;
		// What DNS says may be another thing each time.
		if (canonicalizeHostname || isShort(target.slice(target.indexOf('@') + 1).replace(/:.*/s, ''))) {
			return new ServicePrincipal(this.#calls, service);
		}
		const kept = this.#kept.get(target);
		const now = performance.now();
		if (kept !== undefined && now - kept.madeAt < lifetime) return kept.principal.share();
		const principal = new ServicePrincipal(this.#calls, service);
		// Heimdal's is completed by what the KDC refers these very tickets to.
		if (principal.isToBeReferred) return principal;
		this.#drop(target);
		const [oldest] = this.#kept.keys();
		if (oldest !== undefined && this.#kept.size >= most) this.#drop(oldest);
		this.#kept.set(target, {principal, madeAt: now});
		return principal.share();
	}

	close(): void {
		for (const target of this.#kept.keys()) this.#drop(target);
	}

	#drop(target: string): void {
		this.#kept.get(target)?.principal.release();
		this.#kept.delete(target);
	}
}
