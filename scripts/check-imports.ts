/**
 * Holds the direction of imports: each file may import what stands below it in `layers`, and its own part.
 * Type-only and dynamic imports count too, and no files may import each other in a circle.
 */
import {globSync, readFileSync} from 'node:fs';
import {posix, resolve} from 'node:path';

/** The parts of the source, from the top down: a folder, or the files of one part. */
export const layers: readonly (readonly string[])[] = [
	['src/cli/'],
	['src/serve/'],
	['src/testing/'],
	['src/cern/'],
	['src/integrations/'],
	[
		'src/index.ts',
		'src/gatepass.ts',
		'src/configured-gatepass.ts',
		'src/explain-request.ts',
		'src/gatepass-interface.ts',
		'src/rule-status.ts',
		'src/define-config.ts',
	],
	['src/container.ts'],
	['src/diagnose/'],
	['src/observability/logger.ts', 'src/observability/telemetry.ts'],
	['src/hop/router.ts', 'src/hop/rotating-strategy.ts'],
	['strategies/'],
	['src/transports/'],
	[
		'src/hop/query.ts',
		'src/hop/request.ts',
		'src/hop/run.ts',
		'src/hop/report.ts',
		'src/hop/proxy-rule.ts',
		'src/hop/send-own.ts',
		'src/hop/response-body.ts',
	],
	['src/http/'],
	['src/certificates/'],
	['src/installers/'],
	['src/lineages/'],
	['src/issuers/'],
	['src/tls/'],
	['src/identities/'],
	['src/tokens/'],
	['src/trust/'],
	['src/config/'],
	['src/bundles/'],
	['src/host-rules/'],
	['src/strategy/'],
	['src/spiffe/'],
	['src/observability/events.ts'],
	['src/x509/'],
	['src/files/'],
	['src/name-command.ts'],
	[
		'src/errors.ts',
		'src/own-files.ts',
		'src/observability/redact.ts',
		'src/observability/redact-query.ts',
		'src/observability/decode-text.ts',
		'src/observability/decode-dumps.ts',
	],
	['src/diagnostics/'],
];

/** All that a strategy may import besides other strategies: what a user's own strategy has, too. */
const openToStrategies = [
	'src/strategy/index.ts',
	'src/strategy/challenges.ts',
	'src/errors.ts',
	'src/diagnostics/diagnostic.ts',
];

/** One import that should not be. */
export interface Violation {
	readonly file: string;
	/** Counted from 1. */
	readonly line: number;
	/** What is wrong, and what to do. */
	readonly rule: string;
}

interface Import {
	readonly line: number;
	readonly specifier: string;
}

/** Check the folders `src` and `strategies` of a project. */
export function findViolations(root: string): Violation[] {
	const files = globSync(['src/**/*.ts', 'strategies/**/*.ts'], {cwd: root})
		.map(file => file.replaceAll('\\', '/'))
		.sort();
	const violations: Violation[] = [];
	const graph = new Map<string, Map<string, number>>();
	for (const file of files) {
		const targets = new Map<string, number>();
		graph.set(file, targets);
		if (layerOf(file) === -1) {
			violations.push({
				file,
				line: 1,
				rule: 'has no place in `layers` of scripts/check-imports.ts. Give it one',
			});
			continue;
		}
		for (const {line, specifier} of importsIn(readFileSync(resolve(root, file), 'utf8'))) {
			const target = specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : undefined;
			if (target !== undefined && !targets.has(target)) targets.set(target, line);
			const rule = ruleBroken(file, specifier, target);
			if (rule !== undefined) violations.push({file, line, rule});
		}
	}
	return [...violations, ...findCircles(graph)];
}

/** Every import and re-export of a module. Biome's format puts static ones at the start of a line. */
export function importsIn(text: string): Import[] {
	const statement =
		/^(?:import|export)\b[^;'"`]*?\bfrom\s+'([^']+)'|^import\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm;
	return [...text.matchAll(statement)]
		.filter(({index}) => !isInComment(text, index))
		.map(({0: whole, index, 1: from, 2: bare, 3: dynamic}) => ({
			line: text.slice(0, index + whole.length).split('\n').length,
			specifier: from ?? bare ?? dynamic ?? '',
		}));
}

function isInComment(text: string, index: number): boolean {
	return /^\s*(?:\/\/|\*|\/\*)/.test(text.slice(text.lastIndexOf('\n', index - 1) + 1, index));
}

function ruleBroken(file: string, specifier: string, target: string | undefined): string | undefined {
	if (specifier === 'gatepass' || specifier.startsWith('gatepass/')) {
		return `imports '${specifier}', the built package. Import the source file`;
	}
	if (target === undefined) return undefined;
	const [own, other] = [layerOf(file), layerOf(target)];
	if (other === -1) return `imports ${target}, which is no part of the source`;
	if (own === other) return undefined;
	if (file.startsWith('strategies/') && !openToStrategies.includes(target)) {
		return `imports ${target}. A strategy may import only ${openToStrategies.join(', ')} and other strategies`;
	}
	if (other < own) return `imports ${target}, which stands above it. Imports point from ${order(other, own)}`;
	return undefined;
}

/** The number of a file's layer, counted from the top; -1 where it has none. */
export function layerOf(file: string): number {
	return layers.findIndex(parts =>
		parts.some(part => (part.endsWith('/') ? file.startsWith(part) : file === part)),
	);
}

function order(upper: number, lower: number): string {
	return `${layers[upper]?.join(', ')} to ${layers[lower]?.join(', ')}`;
}

/** Each circle once, at the import that closes it. */
function findCircles(graph: ReadonlyMap<string, ReadonlyMap<string, number>>): Violation[] {
	const circles: Violation[] = [];
	const done = new Set<string>();
	const visit = (file: string, way: readonly string[]): void => {
		for (const [target, line] of graph.get(file) ?? []) {
			const start = way.indexOf(target);
			if (start !== -1) {
				const circle = [...way.slice(start), target].join(' → ');
				circles.push({file, line, rule: `closes a circle: ${circle}. Move what both need into a third file`});
			} else if (!done.has(target)) {
				visit(target, [...way, target]);
			}
		}
		done.add(file);
	};
	for (const file of graph.keys()) if (!done.has(file)) visit(file, [file]);
	return circles;
}

if (import.meta.main) {
	const violations = findViolations(process.argv[2] ?? process.cwd());
	for (const {file, line, rule} of violations) console.error(`${file}:${line}: ${rule}`);
	if (violations.length > 0) process.exitCode = 1;
}
