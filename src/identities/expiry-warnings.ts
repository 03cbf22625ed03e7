/** Tells when a certificate is about to end: 30, 10 and 3 days before, once each. */
import type {Events} from '../observability/events.ts';
import type {Identity} from '../strategy/services.ts';

const day = 86_400_000;

/** The most urgent last. */
const thresholds = [30, 10, 3] as const;

export class ExpiryWarnings {
	readonly #events: Events;
	/** The thumbprint of the certificate that was last looked at, and the threshold of which was told. */
	#thumbprint: string | undefined;
	#told = Number.POSITIVE_INFINITY;

	constructor(events: Events) {
		this.#events = events;
	}

	/** Warn, if it is time to. Of several thresholds that have passed, only the most urgent is told. */
	look(identity: Identity, now: number): void {
		const {thumbprint, subject, files, notBefore, notAfter} = identity;
		if (thumbprint !== this.#thumbprint) {
			this.#thumbprint = thumbprint;
			this.#told = Number.POSITIVE_INFINITY;
		}
		const left = notAfter - now;
		// Cheap, as this is looked at often.
		if (left > 30 * day) return;
		const lifetime = Math.ceil((notAfter - notBefore) / day);
		// What never lives long is told of in its last third only; a proxy of a day, never.
		const due = thresholds.findLast(days => left <= days * day && days * 3 <= lifetime);
		if (due === undefined || due >= this.#told) return;
		this.#told = due;
		this.#events.publish('gatepass:certificate:expiring', {
			subject,
			file: files.certificate,
			expiresAt: notAfter,
			days: due,
		});
	}
}
