/** What the usual failures of a connection mean, by Node's code or undici's: one sentence for a person each. */
export const networkHints: Readonly<Record<string, string>> = {
	ECONNREFUSED: 'Nothing listens there; check the host and port',
	ECONNRESET: 'The server ended the connection; try again, or look into its log',
	EAI_AGAIN: 'The name server does not answer; check the network',
	ENOTFOUND: 'There is no host of that name; check the URL',
	EHOSTUNREACH: 'There is no way to that host; check the network',
	ENETUNREACH: 'There is no way to that network; check the network',
};
