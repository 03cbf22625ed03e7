/** What `bundles` adds to a configuration, and mistakes in it. */
import {cpSync, mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import {placesOf} from '../../src/bundles/bundle.ts';
import {createGatepass} from '../../src/index.ts';
import {TrustStores} from '../../src/trust/trust-stores.ts';
import {folderWith, load, problemsInYaml, problemsOf} from './loading.ts';

/** A folder with a bundle in it, as far as a configuration looks at one. */
function folderWithBundle(preset: string, files: Readonly<Record<string, string>> = {}): string {
	const folder = folderWith({'lab/manifest.json': '{}', 'lab/preset.yaml': preset, ...files});
	const {folder: certificates} = placesOf(join(folder, 'lab'));
	mkdirSync(certificates, {recursive: true});
	writeFileSync(join(certificates, '00000000.0'), '');
	return folder;
}

async function loadBundles(bundles: string[], rest: object = {}, cwd = folderWith({})) {
	return (await load({cwd, config: {bundles, ...rest}})).configuration;
}

const cernRule = {
	match: 'https://cmsoms.cern.ch',
	strategy: 'sso-client-credentials',
	options: {clientId: 'a', clientSecret: 'b', audience: 'cmsoms-prod'},
};

describe('trust', () => {
	test('a bundle brings its CA folder for its servers, on any port, besides the system', async () => {
		const {trust, bundles} = await loadBundles(['cern']);
		expect(bundles.map(({name}) => name)).toEqual(['cern']);
		expect(trust).toEqual([
			expect.objectContaining({source: 'bundle:cern', only: false, files: [bundles[0]?.folder]}),
		]);
		const sets = new TrustStores(trust);
		const sourceFor = (url: string) => sets.find(new URL(url))?.source;
		expect(sourceFor('https://cmsweb.cern.ch/')).toBe('bundle:cern');
		expect(sourceFor('https://cmsweb.cern.ch:8443/')).toBe('bundle:cern');
		expect(sourceFor('https://cern.ch/')).toBe('bundle:cern');
		expect(sourceFor('https://cern.ch.example.org/')).toBeUndefined();
		expect(sourceFor('https://example.org/')).toBeUndefined();
	});

	test("a user's own entry of equal rank wins, wherever it stands", async () => {
		const folder = folderWith({'ca.pem': ''});
		const own = {match: 'https://*.cern.ch:*', ca: './ca.pem'};
		const {trust} = await loadBundles(['cern'], {trust: [own]}, folder);
		expect(new TrustStores(trust).find(new URL('https://cmsweb.cern.ch/'))?.source).toBe('trust[0]');
	});

	test('the more specific of two bundles wins, and of equal ones the later', async () => {
		const folder = folderWithBundle('servers: [https://*:*]');
		cpSync(join(folder, 'lab'), join(folder, 'wide'), {recursive: true});
		const [lab, wide] = [`bundle:${folder}/lab`, `bundle:${folder}/wide`];
		for (const [bundles, expected] of [
			[
				['./lab', 'cern'],
				['bundle:cern', lab],
			],
			[
				['cern', './lab'],
				['bundle:cern', lab],
			],
			[
				['./wide', './lab'],
				[lab, lab],
			],
			[
				['./lab', './wide'],
				[wide, wide],
			],
		] as const) {
			const {trust} = await loadBundles([...bundles], {}, folder);
			const sets = new TrustStores(trust);
			const urls = ['https://eos.cern.ch/', 'https://grid.example.org:8443/'];
			expect(urls.map(url => sets.find(new URL(url))?.source)).toEqual(expected);
		}
	});

	test('a bundle without servers brings no trust entry', async () => {
		expect((await loadBundles(['./lab'], {}, folderWithBundle(''))).trust).toEqual([]);
		expect((await loadBundles(['igtf'])).trust).toEqual([]);
	});
});

describe('default options', () => {
	test('a rule gets those that it lacks', async () => {
		const {hostRules} = await loadBundles(['cern'], {hostRules: [cernRule]});
		expect(hostRules[0]?.options).toEqual({...cernRule.options, server: 'auth.cern.ch', realm: 'cern'});
	});

	test.each([
		[{realm: 'test'}, {server: 'auth.cern.ch', realm: 'test'}],
		[{server: 'login.example.org'}, {server: 'login.example.org'}],
		[{issuer: 'https://login.example.org'}, {issuer: 'https://login.example.org'}],
		[{tokenEndpoint: 'https://login.example.org/t'}, {tokenEndpoint: 'https://login.example.org/t'}],
	])('with %o it has %o', async (written, expected) => {
		const rule = {...cernRule, options: {clientId: 'a', ...written}};
		const {hostRules} = await loadBundles(['cern'], {hostRules: [rule]});
		expect(hostRules[0]?.options).toEqual({clientId: 'a', ...expected});
	});

	test('a rule without options gets them, one of another strategy gets none, and so does one without the bundle', async () => {
		const strategy = 'sso-client-credentials';
		const rules = [
			{match: 'https://a.example.org', strategy},
			{match: 'https://b.example.org', strategy: 'grid-certificate'},
		];
		const {hostRules} = await loadBundles(['cern'], {hostRules: rules});
		expect(hostRules.map(({options}) => options)).toEqual([{server: 'auth.cern.ch', realm: 'cern'}, {}]);
		expect(hostRules.map(({notes}) => notes)).toEqual([
			['The options server and realm are the defaults of bundle:cern'],
			undefined,
		]);
	});

	test.each([
		[{}, 'tokenEndpoint'],
		[{clientId: 'a', clientSecret: 'b', audience: 'c'}, 'tokenEndpoint'],
		[{realm: 'master'}, 'server'],
	])('without the bundle, no server is the default: %o is a mistake', async (options, at) => {
		const subjectToken = {variable: 'TOKEN'};
		const hostRules = [
			{match: 'https://a.example.org', strategy: 'sso-client-credentials', options},
			{match: 'https://b.example.org', strategy: 'sso-token-exchange', options: {...options, subjectToken}},
			{
				match: 'https://c.example.org',
				strategy: 'chain',
				options: {of: [{strategy: 'sso-client-credentials', options}]},
			},
		];
		const problems = await problemsOf({cwd: folderWith({}), config: {hostRules}});
		expect(problems.map(({path}) => path)).toEqual([
			`hostRules[0].options.${at}`,
			`hostRules[1].options.${at}`,
			`hostRules[2].options.of[0].options.${at}`,
		]);
		for (const {message, hint} of problems) {
			expect(message).toBe('there is no authorization server');
			expect(hint).toContain('bundles: [cern]');
		}
		await expect(loadBundles(['cern'], {hostRules})).resolves.toBeDefined();
	});

	test.each([
		[{tokenEndpoint: 'https://login.example.org/token'}],
		[{issuer: 'https://login.example.org'}],
		[{server: 'login.example.org'}],
		[{server: 'login.example.org', realm: 'master'}],
	])('%o names one', async options => {
		const rule = {match: 'https://a.example.org', strategy: 'sso-client-credentials', options};
		await expect(loadBundles([], {hostRules: [rule]})).resolves.toBeDefined();
	});

	test('strategies inside of others get them too', async () => {
		const inner = {strategy: 'sso-client-credentials', options: {clientId: 'a'}};
		const options = {of: [{strategy: 'grid-certificate'}, inner]};
		const rule = {match: 'https://a.example.org', strategy: 'chain', options};
		const {hostRules} = await loadBundles(['cern'], {hostRules: [rule]});
		expect(hostRules[0]?.options).toMatchObject({
			of: [{}, {options: {clientId: 'a', server: 'auth.cern.ch', realm: 'cern'}}],
		});
		expect(inner.options).toEqual({clientId: 'a'});
	});

	test("a token exchange goes to the same realm's", async () => {
		const options = {clientId: 'a', subjectToken: {variable: 'TOKEN'}};
		const rule = {match: 'https://a.cern.ch', strategy: 'sso-token-exchange', options};
		const {hostRules} = await loadBundles(['cern'], {hostRules: [rule]});
		expect(hostRules[0]?.options).toMatchObject({server: 'auth.cern.ch', realm: 'cern'});
		const elsewhere = {...rule, options: {...options, realm: 'other'}};
		expect((await loadBundles(['cern'], {hostRules: [elsewhere]})).hostRules[0]?.options).toMatchObject({
			realm: 'other',
		});
	});

	test('of two bundles the later one has its say', async () => {
		const preset = 'strategies: {sso-client-credentials: {options: {issuer: https://login.example.org}}}';
		const folder = folderWithBundle(preset);
		const {hostRules} = await loadBundles(['cern', './lab'], {hostRules: [cernRule]}, folder);
		expect(hostRules[0]?.options).toEqual({...cernRule.options, issuer: 'https://login.example.org'});
	});
});

describe('mistakes', () => {
	test('names that there are not, each at its line', async () => {
		const cwd = folderWithBundle('', {
			'gatepass.config.yaml':
				'bundles:\n  - cren\n  - desy\n  - lab\n  - ./nowhere\n  - .\n  - cern\n  - cern\n  - 5\n  - ../etc\n',
		});
		const problems = await problemsOf({cwd});
		const told = problems.map(({line, path, message, hint}) => `${line} ${path}: ${message}. ${hint}`);
		expect(told).toEqual([
			"2 bundles[0]: there is no bundle 'cren'. Did you mean cern?",
			"3 bundles[1]: there is no bundle 'desy'. Name one of cern, igtf, or the folder of another, such as ./bundles/lab",
			"4 bundles[2]: there is no bundle 'lab'. Write ./lab for the folder",
			`5 bundles[3]: ${cwd}/nowhere does not exist. Name a folder that 'gatepass bundle build' has written`,
			`6 bundles[4]: ${cwd} holds no bundle (there is no manifest.json). Name a folder that 'gatepass bundle build' has written`,
			"8 bundles[6]: the bundle 'cern' is there twice. Take one of them out",
			'9 bundles[7]: it is a number. Put it in quotes, so that it is a string',
			expect.stringMatching(/^10 bundles\[8\]: .*\/etc does not exist\. /),
		]);
	});

	test.each([
		['servers: 5', 'is no preset of a bundle'],
		['srvers: []', 'is no preset of a bundle'],
		['servers: [', 'preset.yaml:1 is no YAML'],
		['servers:\n- !ENV SERVER', "preset.yaml:2 has a tag ('!') that has no meaning"],
		['servers: ["https://a b"]', 'white space'],
		['strategies: {sso-client-credentials: {options: {server: "not a host"}}}', 'wrong default'],
		['strategies: {sso-client-credentials: {options: {sever: auth.example.org}}}', "no setting 'sever'"],
	])('a preset with %s is told of at the bundle', async (preset, expected) => {
		const cwd = folderWithBundle(preset);
		const hostRules = [cernRule, {...cernRule, match: 'https://b.example.org'}];
		const problems = await problemsOf({cwd, config: {bundles: ['./lab'], hostRules}});
		expect(problems).toHaveLength(1);
		expect(problems[0]).toMatchObject({path: 'bundles[0]', message: expect.stringContaining(expected)});
	});

	test('something else than a list', async () => {
		expect(await problemsInYaml('bundles: cern')).toMatchObject([{line: 1, path: 'bundles'}]);
	});
});

test('a bundle and one line a host are a whole configuration, and explain tells what is whose', async () => {
	const gatepass = await createGatepass({
		cwd: folderWith({}),
		env: {SSO_CLIENT_ID: 'a', SSO_CLIENT_SECRET: 'b'},
		config: {
			bundles: ['cern'],
			cache: {url: 'memory:'},
			hostRules: [
				{match: 'https://cmsweb.cern.ch', strategy: 'none'},
				{match: 'https://cmsoms.cern.ch', strategy: 'sso-client-credentials'},
			],
		},
	});
	const trusted = "The CA certificates of bundle:cern are trusted besides the system's";
	expect(gatepass.explain('https://cmsweb.cern.ch/').notes).toEqual([trusted]);
	expect(gatepass.explain('https://cmsoms.cern.ch/').notes).toEqual([
		'The options server and realm are the defaults of bundle:cern',
		trusted,
	]);
	expect(gatepass.explain('https://example.org/').notes).toBeUndefined();
	const [, {detail} = {detail: ''}] = await gatepass.status();
	expect(detail).toContain('auth.cern.ch');
	await gatepass.close();
});
