/** The exit codes of the command line. They are part of the contract: scripts depend on them. */
export const exitCodes = {
	done: 0,
	/** The request or check failed. */
	failed: 1,
	usage: 2,
	configuration: 3,
	/** As a shell gives it for a program that was interrupted: 128 and the number of SIGINT. */
	interrupted: 130,
	/** The same of SIGTERM. */
	terminated: 143,
} as const;
