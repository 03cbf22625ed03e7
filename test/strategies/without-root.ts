/** Does something as a user who may not read everything: the tests may well run as root. */
export async function withoutRoot<Result>(action: () => Promise<Result>): Promise<Result> {
	if (process.geteuid?.() !== 0) return action();
	process.seteuid?.('nobody');
	try {
		return await action();
	} finally {
		process.seteuid?.(0);
	}
}

/** The mode of a file that its owner may not read under `withoutRoot`. */
export const unreadable = process.geteuid?.() === 0 ? 0o600 : 0o000;
