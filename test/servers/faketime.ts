/** Debian's faketime: runs a program with another time of day. */
import {findProgram, type RealServer} from './availability.ts';

export const faketime: RealServer = {
	name: 'faketime',
	install: 'apt-get install faketime',
	whyUnavailable: () => (findProgram('faketime') === undefined ? 'there is no program faketime' : undefined),
};
