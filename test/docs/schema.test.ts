/** What `gatepass/schema.json` tells an editor: right configurations are right, and mistakes are seen. */
import {globSync} from 'node:fs';
import {describe, expect, test} from 'vitest';
import {parse} from 'yaml';
import {accepts} from './json-schema.ts';
import {read, root} from './markdown.ts';

const schema = JSON.parse(read('schema.json'));

test.each(globSync('docs/examples/**/*.yaml', {cwd: root}).sort())('accepts %s', file => {
	expect(accepts(schema, parse(read(file)))).toBe(true);
});

describe('one rule', () => {
	const rule = (strategy: string, options?: object) => ({
		hostRules: [{match: 'https://api.example.org', strategy, ...(options && {options})}],
	});

	test.each<[string, object]>([
		['no options', rule('grid-certificate')],
		['a strategy of the user with any options', rule('api-key', {anything: [1]})],
		[
			'a reference where only some strings are right',
			rule('sso-client-credentials', {tokenEndpoint: '${ENDPOINT}'}),
		],
		['strategies inside of options', rule('chain', {of: [{strategy: 'wlcg-token', options: {file: 't'}}]})],
	])('accepts %s', (_, configuration) => {
		expect(accepts(schema, configuration)).toBe(true);
	});

	test.each<[string, object]>([
		['an unknown setting', {...rule('none'), hostRule: []}],
		['a rule without a strategy', {hostRules: [{match: 'https://api.example.org'}]}],
		['a wrong option', rule('grid-certificate', {certifcate: 'usercert.pem'})],
		["another strategy's option", rule('wlcg-token', {clientId: 'me'})],
		['an option of the wrong type', rule('kerberos-stub', {timeout: 'ten'})],
		['a value that is not one of those possible', rule('kerberos-stub', {mutualAuthentication: 'maybe'})],
		['options where there are none', rule('none', {token: 'secret'})],
		['a URL that is none', rule('sso-client-credentials', {tokenEndpoint: 'login'})],
		[
			'a wrong option inside of options',
			rule('chain', {of: [{strategy: 'wlcg-token', options: {path: 't'}}]}),
		],
		['a function, which no file can hold', rule('sso-token-exchange', {subjectToken: 'f()'})],
		['a duration below zero', {tokenRequest: {timeout: -1}}],
	])('refuses %s', (_, configuration) => {
		expect(accepts(schema, configuration)).toBe(false);
	});
});
