/** The cache that a rule has its fetched tickets in. */
import {statSync} from 'node:fs';
import {GssFailure} from './gss-failure.ts';
import type {CacheCalls} from './krb5-library.ts';
import {place} from './native.ts';

/** Make sure that it is not another principal's; an empty file is taken for none. */
export function prepareCache(caches: CacheCalls, credentialCache: string, client: string): void {
	const {context, resolveCache, closeCache, cachePrincipal, initializeCache, parseName} = caches;
	const [cache, owner, wanted] = [place(), place(), place()];
	try {
		if (resolveCache(context, credentialCache, cache) !== 0) return;
		if (parseName(context, client, wanted) !== 0) return;
		if (cachePrincipal(context, cache[0], owner) === 0) {
			const name = caches.nameOf(owner[0]);
			if (name === caches.nameOf(wanted[0])) return;
			throw new GssFailure({
				phase: 'credential',
				text: `The credential cache ${credentialCache} holds tickets of ${name}, and the key table is for ${client}`,
			});
		}
		if (isEmptyFile(credentialCache)) initializeCache(context, cache[0], wanted[0]);
	} finally {
		for (const principal of [owner[0], wanted[0]]) {
			if (principal !== null) caches.freePrincipal(context, principal);
		}
		if (cache[0] !== null) closeCache(context, cache[0]);
	}
}

/** A name that makes a file of no bytes, as mktemp does. */
function isEmptyFile(cache: string): boolean {
	const path = /^FILE:(.*)$/s.exec(cache)?.[1];
	return path !== undefined && statSync(path, {throwIfNoEntry: false})?.size === 0;
}
