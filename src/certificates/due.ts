/** When a certificate is to be renewed. */
import type {RenewalInformation} from '../issuers/acme/renewal-information.ts';
import type {ConfigObject} from '../lineages/certbot/config-object.ts';
import type {CertificateDates} from '../x509/quick-look.ts';

/** What is remembered of a lineage between runs: the section `gatepass` of its configuration. Milliseconds since 1970. */
export interface RenewalState {
	/** Failed renewals in a row. */
	readonly attempts: number;
	readonly nextAttempt?: number;
	/** The moment within the server's window at which to renew, and when to ask for the window again. */
	readonly renewAt?: number;
	readonly askAgainAt?: number;
	/** For which certificate that moment was chosen: its serial number. */
	readonly serialNumber?: string;
}

const section = ['gatepass'];
const [minute, day] = [60_000, 86_400_000];

/** Until a server is asked again that could not say when to renew. */
const pauseAfterFailure = 60 * minute;

/** Pauses after a failure: then once a day, for as long as it takes. */
const pauses = [minute, 10 * minute, 100 * minute];

export function readState(configuration: ConfigObject): RenewalState {
	return stateIn(key => configuration.text(section, key));
}

/** @param text gives the values of the section `gatepass`. */
export function stateIn(text: (key: string) => string | undefined): RenewalState {
	const time = (key: string): number | undefined => {
		const value = Date.parse(text(key) ?? '');
		return Number.isNaN(value) ? undefined : value;
	};
	const [nextAttempt, renewAt, askAgainAt] = ['next_attempt', 'renew_at', 'ask_again_at'].map(time);
	const serialNumber = text('serial_number');
	return {
		attempts: Number(text('attempts')) || 0,
		...(nextAttempt !== undefined && {nextAttempt}),
		...(renewAt !== undefined && {renewAt}),
		...(askAgainAt !== undefined && {askAgainAt}),
		...(serialNumber !== undefined && {serialNumber}),
	};
}

export function writeState(configuration: ConfigObject, state: RenewalState): void {
	const time = (value: number | undefined): string | undefined =>
		value === undefined ? undefined : new Date(value).toISOString();
	configuration.set(section, 'attempts', state.attempts === 0 ? undefined : String(state.attempts));
	configuration.set(section, 'next_attempt', time(state.nextAttempt));
	configuration.set(section, 'renew_at', time(state.renewAt));
	configuration.set(section, 'ask_again_at', time(state.askAgainAt));
	configuration.set(section, 'serial_number', state.serialNumber);
}

/** When to renew by lifetime alone: with a third of it left, half where it is under ten days. */
export function renewalByLifetime({validFromDate, validToDate}: CertificateDates): number {
	const lifetime = validToDate.getTime() - validFromDate.getTime();
	return validToDate.getTime() - lifetime / (lifetime < 10 * day ? 2 : 3);
}

/** A random moment in the window, which keeps clients from coming all at once (RFC 9773 section 4.2). */
export function chooseMoment({start, end}: RenewalInformation, random = Math.random()): number {
	return Math.round(start + random * (end - start));
}

/** Whether to ask the server when to renew: at first, for a new certificate, and when it said so, within half a day. */
export function wantsInformation(state: RenewalState, certificate: CertificateDates, now: number): boolean {
	return (
		state.serialNumber !== certificate.serialNumber ||
		state.askAgainAt === undefined ||
		now >= state.askAgainAt
	);
}

/**
 * What the server said, as it is remembered. A moment that was chosen before stays, if it still lies in the window.
 *
 * @param information `undefined`: it gives none; `failed`: it could not be asked, so what it said before still holds.
 */
export function rememberInformation(
	state: RenewalState,
	certificate: CertificateDates,
	information: RenewalInformation | 'failed' | undefined,
	now: number,
): RenewalState {
	const {serialNumber} = certificate;
	if (information === 'failed') {
		const isSame = state.serialNumber === serialNumber;
		const {renewAt, ...others} = state;
		return {
			...others,
			serialNumber,
			askAgainAt: now + pauseAfterFailure,
			...(isSame && renewAt !== undefined && {renewAt}),
		};
	}
	// At least twice a day (RFC 9773 section 4.3 wants it to be regular).
	const askAgainAt = now + Math.min(information?.retryAfter ?? day / 4, day / 2);
	const {renewAt: _, ...rest} = state;
	if (information === undefined) return {...rest, serialNumber, askAgainAt};
	const isKept =
		state.serialNumber === serialNumber &&
		state.renewAt !== undefined &&
		state.renewAt >= information.start &&
		state.renewAt <= information.end;
	return {
		...rest,
		serialNumber,
		askAgainAt,
		renewAt: isKept ? (state.renewAt as number) : chooseMoment(information),
	};
}

/** When a certificate is to be renewed, and why then. Failures put it off. */
export function dueAt(
	certificate: CertificateDates,
	state: RenewalState,
): {readonly at: number; readonly reason: string} {
	const isCurrent = state.serialNumber === certificate.serialNumber;
	const wanted =
		isCurrent && state.renewAt !== undefined
			? {at: state.renewAt, reason: 'the authority wants it renewed then'}
			: {at: renewalByLifetime(certificate), reason: 'the last part of its life begins then'};
	if (state.attempts > 0 && state.nextAttempt !== undefined && state.nextAttempt > wanted.at) {
		return {at: state.nextAttempt, reason: `the last ${state.attempts} tries failed`};
	}
	return wanted;
}

/** What is remembered after a failure. `retryAfter`: the server's own word, in milliseconds. */
export function afterFailure(state: RenewalState, now: number, retryAfter = 0): RenewalState {
	const pause = Math.max(pauses[state.attempts] ?? day, retryAfter);
	return {...state, attempts: state.attempts + 1, nextAttempt: now + pause};
}
