import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {type Checklist, memberCategories, unmetRules} from '../../src/issuers/robot-rules.ts';
import {readChecklist} from '../../src/issuers/robot-rules-file.ts';

const good: Checklist = {
	memberCategory: 'STAFF',
	ownsServiceAccount: true,
	forwardsMail: true,
	forSharing: false,
	forAccount: false,
};
const keysOf = (checklist: Checklist): string[] => unmetRules(checklist).map(({key}) => key);

describe('the published rules', () => {
	test.each([...memberCategories, 'staff', ' User ', 'EXTN (HONO)', 'extn/hono', true])(
		'%j may ask',
		status => {
			expect(keysOf({...good, memberCategory: status})).toEqual([]);
		},
	);

	test.each(['EXTN', 'EXTN (VISIT)', 'none of these', '', 'STAFFER', false])('%j may not', status => {
		expect(keysOf({...good, memberCategory: status})).toEqual(['memberCategory']);
	});

	test.each(['ownsServiceAccount', 'forwardsMail', 'forSharing', 'forAccount'] as const)(
		'%s the other way round is not allowed, and says what to do',
		key => {
			const [unmet, ...others] = unmetRules({...good, [key]: !good[key]});
			expect(others).toEqual([]);
			expect(unmet?.key).toBe(key);
			expect(unmet?.message.length).toBeGreaterThan(20);
			expect(unmet?.hint).toMatch(/^[A-Z].{20,}[^.]$/);
		},
	);

	test('all that is not met is told at once', () => {
		const bad = {
			memberCategory: 'X',
			ownsServiceAccount: false,
			forwardsMail: false,
			forSharing: true,
			forAccount: true,
		};
		expect(keysOf(bad)).toEqual([
			'memberCategory',
			'ownsServiceAccount',
			'forwardsMail',
			'forSharing',
			'forAccount',
		]);
	});
});

describe('a file of answers', () => {
	let folder: string;
	beforeAll(() => {
		folder = mkdtempSync(join(tmpdir(), 'gatepass-checklist-'));
	});
	afterAll(() => rmSync(folder, {recursive: true}));

	function read(text: string): Promise<Checklist> {
		const file = join(folder, 'answers.yaml');
		writeFileSync(file, text);
		return readChecklist(file);
	}

	test.each([
		[
			'YAML',
			'memberCategory: STAFF\nownsServiceAccount: true\nforwardsMail: true\nforSharing: false\nforAccount: false\n',
		],
		['JSON', JSON.stringify(good)],
	])('in %s', async (_, text) => {
		expect(await read(text)).toEqual(good);
	});

	test('as docs/robots.md shows one, with all statuses that it lists', async () => {
		const guide = readFileSync(new URL('../../docs/robots.md', import.meta.url), 'utf8');
		expect(await read(/^```text\n(memberCategory[\s\S]*?)^```$/m.exec(guide)?.[1] ?? '')).toEqual(good);
		const row = /^\| `memberCategory` \|.*$/m.exec(guide)?.[0] ?? '';
		const listed = [...row.matchAll(/`([A-Z]{4,5})`/g)].map(([, status]) => status);
		expect(listed.filter(status => status !== 'EXTN')).toEqual(memberCategories);
	});

	test.each([
		[
			'forwardsMail: true',
			/'memberCategory' is missing\. Write a status such as 'STAFF'\n.*'ownsServiceAccount' is missing\. Write true or false/s,
		],
		[
			JSON.stringify({...good, fowardsMail: true}),
			/the key 'fowardsMail' is not known\. Did you mean forwardsMail\?/,
		],
		[JSON.stringify({...good, forwardsMail: 'yes'}), /'forwardsMail' is no answer\. Write true or false/],
		[JSON.stringify({...good, forSharing: null}), /'forSharing' is missing/],
		[JSON.stringify({...good, memberCategory: 7}), /'memberCategory' is no answer/],
		['- a\n- b', /holds no answers\. Give it the keys memberCategory, /],
		['', /holds no answers/],
		['a: 1\nmemberCategory: !ENV CATEGORY', /answers\.yaml:2: this is neither YAML nor JSON: Unresolved tag/],
		['a: 1\nb: [', /answers\.yaml:2: this is neither YAML nor JSON/],
	])('%j is refused', async (text, message) => {
		await expect(read(text)).rejects.toThrow(message);
	});

	test('that is not there', async () => {
		await expect(readChecklist(join(folder, 'none'))).rejects.toThrow(
			/none cannot be read\. Name a YAML or JSON file/,
		);
	});
});
