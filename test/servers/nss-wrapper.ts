/** A resolver with a hosts file of one's own, for other processes. */
import {globSync} from 'node:fs';
import type {RealServer} from './availability.ts';

const library = globSync('/usr/lib/*/libnss_wrapper.so')[0];

export const nssWrapper: RealServer = {
	name: 'nss_wrapper',
	install: 'apt-get install libnss-wrapper',
	whyUnavailable: () => (library === undefined ? 'there is no library libnss_wrapper.so' : undefined),
};

/** The variables for a process that finds its names in a file as `/etc/hosts`. */
export function environmentWithHosts(file: string): Record<string, string> {
	return {LD_PRELOAD: library ?? '', NSS_WRAPPER_HOSTS: file};
}
