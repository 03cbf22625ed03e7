/** Tells a token from what is none: a store may hold anything, and a strategy may issue anything. */
import type {Token} from '../services.ts';

export function isToken(value: unknown): value is Token {
	if (typeof value !== 'object' || value === null) return false;
	const {value: text, type, expiresAt, issuedAt} = value as Record<keyof Token, unknown>;
	return (
		typeof text === 'string' &&
		text !== '' &&
		(type === 'Bearer' || type === 'DPoP') &&
		isTimeOrAbsent(expiresAt) &&
		isTimeOrAbsent(issuedAt)
	);
}

function isTimeOrAbsent(value: unknown): boolean {
	return value === undefined || (typeof value === 'number' && Number.isFinite(value));
}
