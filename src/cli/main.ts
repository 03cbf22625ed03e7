#!/usr/bin/env node
/**
 * The command `gatepass`. Nothing is imported before the version of Node is known to do, and nothing is written here
 * that an old one cannot read: it would show where it stumbled, not why.
 */
export {};

/** `engines` in package.json. */
const oldest = [22, 19] as const;
const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];

if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
	const message = `gatepass needs Node ${oldest.join('.')} or later, and this is ${process.versions.node}. Install a newer one, or put it first on the PATH`;
	const json = process.argv.indexOf('--json') !== -1;
	console.error(
		json
			? JSON.stringify({error: {name: 'GatepassError', code: 'ERR_GATEPASS', message}})
			: `error: ${message}`,
	);
	process.exitCode = 1;
} else {
	import('./compile-cache.ts')
		.then(({keepCompiled}) => {
			keepCompiled();
			return import('./start.ts');
		})
		.then(({start}) => start(process.argv.slice(2)));
}
