/** ConfigObj's format, held against ConfigObj itself where Debian's Python has it. */
import {execFileSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {describe, expect, onTestFinished, test} from 'vitest';
import {ConfigObject} from '../../../src/lineages/certbot/config-object.ts';
import {describeWith} from '../../servers/availability.ts';
import {certbot} from '../../servers/certbot.ts';

const example = `# renew_before_expiry = 30 days
version = 2.1.0
archive_dir = /etc/letsencrypt/archive/a.example.org
cert = %(archive_dir)s/cert.pem  # a comment

# Options used in the renewal process
[renewalparams]
account = 16198cbc3e7fb6530b2e0cc237ddee3b
renew_hook = 'echo a, "b"'
domains = a.example.org, "b, with a comma",
single = one,
empty = ""
hash = "#no comment"
[[webroot_map]]
a.example.org = /var/www
[gatepass]
attempts = 2
`;

const file = 'renewal/a.conf';

test('reads quotes, lists, comments, sections and references', () => {
	const config = new ConfigObject(example, file);
	expect(config.text([], 'cert')).toBe('/etc/letsencrypt/archive/a.example.org/cert.pem');
	expect(config.text(['renewalparams'], 'renew_hook')).toBe('echo a, "b"');
	expect(config.value(['renewalparams'], 'domains')).toEqual(['a.example.org', 'b, with a comma']);
	expect(config.value(['renewalparams'], 'single')).toEqual(['one']);
	expect(config.text(['renewalparams'], 'empty')).toBe('');
	expect(config.text(['renewalparams'], 'hash')).toBe('#no comment');
	expect(config.text(['renewalparams', 'webroot_map'], 'a.example.org')).toBe('/var/www');
	expect(config.keys([])).toEqual(['version', 'archive_dir', 'cert']);
	expect(config.text(['renewalparams'], 'missing')).toBeUndefined();
});

test('changes what it is told, and nothing else', () => {
	const config = new ConfigObject(example, file);
	expect(config.toString()).toBe(example);
	config.set([], 'version', '3.0.0');
	config.set(['gatepass'], 'attempts', undefined);
	config.set(['renewalparams'], 'key_type', 'ecdsa');
	config.set(['renewalparams', 'webroot_map'], 'b.example.org', '/srv/www');
	config.set(['new'], 'list', ['x']);
	expect(config.text(['renewalparams'], 'key_type')).toBe('ecdsa');
	expect(config.value(['new'], 'list')).toEqual(['x']);
	expect(config.toString()).toBe(
		example
			.replace('version = 2.1.0', 'version = 3.0.0')
			.replace('attempts = 2\n', '')
			.replace('hash = "#no comment"\n', 'hash = "#no comment"\nkey_type = ecdsa\n')
			.replace('/var/www\n', '/var/www\nb.example.org = /srv/www\n')
			.concat('[new]\nlist = x,\n'),
	);
});

test.each([
	['a line that is none', 'a = 1\nnonsense\n', /a\.conf:2: this is neither a section nor a value/],
	['a quotation without an end', 'a = "x\n', /a\.conf:1: a quotation is not closed/],
	['a triple quotation without an end', 'a = """x\ny\n', /a\.conf:1: a quotation is not closed/],
	['a section inside of nothing', '[[x]]\n', /a\.conf:1: a section is nested in nothing/],
])('%s is told with its line', (_, text, message) => {
	expect(() => new ConfigObject(text, file)).toThrow(message);
});

test('what later versions of certbot write stays, and a nested section goes into its parent', () => {
	const text = [
		...['version = 5.5.0', 'cert = /etc/letsencrypt/live/a/cert.pem', '', '[renewalparams]', 'account = 1'],
		...['required_profile = shortlived', '[acme_renewal_info]', 'ari_retry_after = 2026-11-28T12:00:00', ''],
	].join('\n');
	const config = new ConfigObject(text, 'a.conf');
	config.set(['gatepass'], 'attempts', '1');
	config.set(['renewalparams', 'webroot_map'], 'a.example.org', '/srv/a');
	config.set(['renewalparams', 'webroot_map'], 'b.example.org', '/srv/b');
	const lines = config.toString().split('\n');
	expect(lines.filter(line => !text.split('\n').includes(line))).toEqual([
		...['[[webroot_map]]', 'a.example.org = /srv/a', 'b.example.org = /srv/b', '[gatepass]', 'attempts = 1'],
	]);
	for (const line of text.split('\n')) expect(lines).toContain(line);
	const again = new ConfigObject(config.toString(), 'a.conf');
	expect(again.keys(['renewalparams', 'webroot_map'])).toEqual(['a.example.org', 'b.example.org']);
	expect(again.text(['acme_renewal_info'], 'ari_retry_after')).toBe('2026-11-28T12:00:00');
	expect(again.keys(['gatepass'])).toEqual(['attempts']);
});

test('a circle of references is told', () => {
	const config = new ConfigObject('a = %(b)s\nb = %(a)s\n', file);
	expect(() => config.text([], 'a')).toThrow(/leads in a circle/);
});

const values = [
	'plain',
	'with, comma',
	' blanks ',
	'',
	'#hash',
	`it's`,
	'say "x"',
	`both " and '`,
	'two\nlines',
	['a'],
	['a, b', 'c'],
	[],
];

describeWith(certbot, "Python's ConfigObj", () => {
	const python = (script: string, ...parameters: string[]): string =>
		execFileSync('/usr/bin/python3', ['-c', script, ...parameters], {encoding: 'utf8'});

	function folder(): string {
		const path = mkdtempSync(join(tmpdir(), 'gatepass-configobj-'));
		onTestFinished(() => rmSync(path, {recursive: true, force: true}));
		return path;
	}

	test.each(values)('reads what is written here: %j', value => {
		const path = join(folder(), 'a.conf');
		const config = new ConfigObject('', path);
		config.set(['s'], 'key', value);
		writeFileSync(path, config.toString());
		const script =
			'import sys,json,configobj; print(json.dumps(configobj.ConfigObj(sys.argv[1])["s"]["key"]))';
		expect(JSON.parse(python(script, path))).toEqual(value);
		expect(new ConfigObject(config.toString(), path).value(['s'], 'key')).toEqual(value);
	});

	test.each(values)('writes what is read here: %j', value => {
		const path = join(folder(), 'a.conf');
		const script =
			'import sys,json,configobj; c = configobj.ConfigObj(sys.argv[1]); c["s"] = {"key": json.loads(sys.argv[2])}; c.write()';
		python(script, path, JSON.stringify(value));
		expect(new ConfigObject(readFileSync(path, 'utf8'), path).value(['s'], 'key')).toEqual(value);
	});
});

describe('what ConfigObj itself wrote', () => {
	test('is read whole', () => {
		expect(new ConfigObject(example, file).keys(['renewalparams'])).toHaveLength(6);
	});
});
