/** Tells a token from what is none: a store may hold anything, and a strategy may issue anything. */
import type {Refusal, StoredToken} from './token-store.ts';

export function isToken(value: unknown): value is StoredToken {
	if (typeof value !== 'object' || value === null) return false;
	const {value: text, type, expiresAt, issuedAt, skew} = value as Record<keyof StoredToken, unknown>;
	return (
		typeof text === 'string' &&
		text !== '' &&
		(type === 'Bearer' || type === 'DPoP') &&
		isTimeOrAbsent(expiresAt) &&
		isTimeOrAbsent(issuedAt) &&
		isTimeOrAbsent(skew)
	);
}

export function isRefusal(value: unknown): value is Refusal {
	if (typeof value !== 'object' || value === null) return false;
	const {until, message} = value as Record<keyof Refusal, unknown>;
	return typeof until === 'number' && typeof message === 'string';
}

function isTimeOrAbsent(value: unknown): boolean {
	return value === undefined || (typeof value === 'number' && Number.isFinite(value));
}
