/** Credential caches in memory, for one rule alone. */
import {randomUUID} from 'node:crypto';

/** A name that no other has. */
export const memoryCache = (): string => `MEMORY:gatepass-${randomUUID()}`;
