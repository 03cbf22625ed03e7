/** What a client is told whose request the parser does not take. */
import type {Problem} from './problem.ts';

export function unparsed({code = '', message}: NodeJS.ErrnoException): Problem {
	if (code === 'HPE_HEADER_OVERFLOW') {
		return {
			status: 431,
			code: 'headers-too-large',
			detail: 'The headers of the request are larger than 64 kB',
			hint: 'Send fewer, or smaller cookies',
		};
	}
	if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
		return {
			status: 408,
			code: 'request-late',
			detail: 'The headers of the request did not come within a minute',
			hint: 'Send the request again',
		};
	}
	return {
		status: 400,
		code: 'request-malformed',
		detail: `This is no HTTP request that can be read in one way only (${code}: ${message.replace(/^Parse Error: /, '')})`,
		hint: 'Send HTTP/1.1 by RFC 9112: one length, lines that end with CR LF, no blanks before a colon',
	};
}
