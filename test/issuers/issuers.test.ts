/** A request and its authority: handed in once, asked how it stands, fetched. */
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import type {IssuerName} from '../../src/issuers/issuers.ts';
import {collect} from '../../src/lineages/collect.ts';
import {RobotHome, subject} from '../lineages/robot-home.ts';

const robot = RobotHome.forEachTest();

/** A program in the home that logs what it is asked, and does what the file `do` says. */
function program(action: string): IssuerName {
	const file = join(robot.home, 'ca');
	writeFileSync(file, '#!/bin/sh\ncd "$(dirname "$0")"\necho "$1 $GATEPASS_REFERENCE" >> log\n. ./do\n', {
		mode: 0o755,
	});
	writeFileSync(join(robot.home, 'do'), action);
	return {kind: 'command', command: [file]};
}
const log = (): string[] => readFileSync(join(robot.home, 'log'), 'utf8').trim().split('\n');

test('what was handed in is not handed in again', async () => {
	const authority = program('cat > csr; echo order-1');
	const {pending, text, instructions} = await robot.ask({serviceAccount: 'cmsprod', authority});
	expect({reference: pending.reference, instructions}).toEqual({reference: 'order-1', instructions: []});
	expect(readFileSync(join(robot.home, 'csr'), 'utf8')).toBe(text);
	expect((await robot.ask({authority})).pending.reference).toBe('order-1');
	expect(log()).toEqual(['request']);
});

test('as long as it was not handed in, it may go to another authority', async () => {
	const {text, instructions} = await robot.ask({serviceAccount: 'cmsprod'});
	expect(instructions).not.toEqual([]);
	await expect(collect(robot.path)).rejects.toThrow('Download it from https://ca.cern.ch/ca/');
	const broken = program('exit 1');
	await expect(robot.ask({authority: broken})).rejects.toThrow('ended with 1');
	await expect(collect(robot.path)).rejects.toThrow(
		"was not handed in yet. Run 'gatepass cert request' again",
	);
	const outcome = await robot.ask({authority: program('echo order-2')});
	expect(outcome).toMatchObject({text, wasPending: true, pending: {reference: 'order-2'}});
});

test('it is fetched when it was issued, and not before', async () => {
	const authority = program('echo order-3');
	const {text} = await robot.ask({serviceAccount: 'cmsprod', authority});
	program('echo "the owner has to agree" >&2; exit 75');
	await expect(collect(robot.path)).rejects.toThrow(
		'has not been issued yet: the owner has to agree. Run this command',
	);
	program('echo "unknown account" >&2; exit 1');
	await expect(collect(robot.path)).rejects.toThrow(
		'has refused the request: unknown account. Put that right',
	);
	writeFileSync(join(robot.home, 'issued.pem'), await robot.authority.sign(text, {subject}));
	program('[ "$1" = poll ] || cat issued.pem');
	const {bytes, source} = await collect(robot.path);
	expect(source).toContain('order-3');
	await robot.install(bytes);
	expect(log().slice(-2)).toEqual(['poll order-3', 'collect order-3']);
	await expect(collect(robot.path)).rejects.toThrow('No request is pending');
});
