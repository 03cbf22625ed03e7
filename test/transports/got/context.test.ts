/** What a caller may say in `context.gatepass`, and that what is nearly `false` sends nothing. */
import {request as undiciRequest} from 'undici';
import {expect, test} from 'vitest';
import {StrategyError} from '../../../src/index.ts';
import {setUpStage} from '../scripted-stage.ts';

const stage = setUpStage();

test.each([
	['null', null],
	['zero', 0],
	["the word 'false'", 'false'],
	['true', true],
	['a list', []],
	['a field that is not there', {freshly: true}],
	['a fresh that is a word', {fresh: 'yes'}],
	['a tenant that is a number', {tenant: 7}],
	['a tenant that is empty', {tenant: ''}],
	['a false that is an object', new Boolean(false)],
	['a map', new Map([['fresh', true]])],
	['fields that are inherited', Object.create({fresh: true})],
	['a date', new Date()],
	['a function', () => false],
])('%s is an error, and nothing is sent', async (_, value) => {
	const before = stage.server.requests.length;
	const request = stage.gatepass.got(stage.server.url, {context: {gatepass: value}});
	await expect(request).rejects.toBeInstanceOf(StrategyError);
	await expect(request).rejects.toThrow(/context\.gatepass/);
	const {gatepass, server} = stage;
	const instance = gatepass.got.extend({context: {gatepass: {tenant: 'alice'}}});
	const setting = {gatepass: value as never};
	for (const sent of [
		instance(server.url, {context: setting}),
		gatepass.fetch(server.url, setting),
		undiciRequest(server.url, {dispatcher: gatepass.dispatcher, ...setting}),
		gatepass.flow(server.url, setting),
	]) {
		await expect(sent).rejects.toBeInstanceOf(StrategyError);
	}
	expect(stage.server.requests).toHaveLength(before);
});

test('a request that says one field keeps the other of its instance', async () => {
	const seen: unknown[] = [];
	stage.script = async function* ({fresh, tenant}) {
		seen.push({fresh, tenant});
		yield;
	};
	const context = {gatepass: {tenant: 'alice'}};
	const instance = stage.gatepass.got.extend({context});
	await instance(stage.server.url, {context: {gatepass: {fresh: true}}});
	await instance(stage.server.url);
	await instance(stage.server.url, {context: {gatepass: {tenant: 'bob'}}});
	expect(seen).toEqual([
		{fresh: true, tenant: 'alice'},
		{fresh: false, tenant: 'alice'},
		{fresh: false, tenant: 'bob'},
	]);
	expect(context).toEqual({gatepass: {tenant: 'alice'}});
});
