/** got's cookie jar sees each answer, also one after which the conversation goes on. */
import {expect, test} from 'vitest';
import {setUpStage} from '../scripted-stage.ts';

const stage = setUpStage();

/** A jar without a notion of hosts. */
function newJar() {
	const kept = new Map<string, string>();
	return {
		kept,
		setCookie: async (cookie: string) => {
			const [pair = ''] = cookie.split(';');
			const [name = '', value = ''] = pair.split('=');
			if (name === 'invalid') throw new Error('It is no cookie');
			if (value === '') kept.delete(name);
			else kept.set(name, value);
		},
		getCookieString: async () => [...kept].map(pair => pair.join('=')).join('; '),
	};
}

/** Answers with a cookie to each leg, and accepts the third. */
function answerWith(cookies: readonly (string | readonly string[])[]): string[] {
	const seen: string[] = [];
	stage.answer = ({headers}, response) => {
		const cookie = cookies[seen.length] as string | string[] | undefined;
		seen.push(headers.cookie ?? 'none');
		if (cookie !== undefined) response.setHeader('set-cookie', cookie);
		response.writeHead(seen.length < 3 ? 401 : 200).end('{}');
	};
	return seen;
}

test.each(['GET', 'POST'] as const)('%s: the next leg brings what the one before has got', async method => {
	const cookieJar = newJar();
	cookieJar.kept.set('old', '1');
	const seen = answerWith(['NODE=b; Path=/', ['NODE=; Path=/', 'old=2'], 'last=3']);
	await stage.gatepass.got(stage.server.url, {
		cookieJar,
		method,
		...(method === 'POST' && {body: 'payload'}),
	});
	expect(seen).toEqual(['old=1', 'old=1; NODE=b', 'old=2']);
	expect(Object.fromEntries(cookieJar.kept)).toEqual({old: '2', last: '3'});
});

test('a header of the caller or of the strategy stays', async () => {
	const own = answerWith(['NODE=b', 'NODE=c']);
	const cookieJar = newJar();
	await stage.gatepass.got(stage.server.url, {cookieJar, headers: {cookie: 'own=1'}});
	expect(own).toEqual(['own=1', 'own=1', 'own=1']);
	expect(cookieJar.kept.get('NODE')).toBe('c');
	stage.script = async function* ({headers}) {
		headers.set('cookie', 'strategy=1');
		while ((yield).status !== 200);
	};
	const strategys = answerWith(['NODE=b', 'NODE=c']);
	await stage.gatepass.got(stage.server.url, {cookieJar});
	expect(strategys).toEqual(['strategy=1', 'strategy=1', 'strategy=1']);
});

test('one that the jar does not take is an error, unless the caller says otherwise', async () => {
	answerWith(['invalid=1']);
	await expect(stage.gatepass.got(stage.server.url, {cookieJar: newJar()})).rejects.toThrow('no cookie');
	const seen = answerWith(['invalid=1', 'valid=1']);
	await stage.gatepass.got(stage.server.url, {cookieJar: newJar(), ignoreInvalidCookies: true});
	expect(seen).toEqual(['none', 'none', 'valid=1']);
});

test('those of an answer that is not believed do not enter', async () => {
	stage.script = async function* () {
		const first = yield;
		first.withhold(['www-authenticate']);
		yield;
		yield;
	};
	const cookieJar = newJar();
	const seen = answerWith(['NODE=b']);
	await stage.gatepass.got(stage.server.url, {cookieJar});
	expect(seen).toEqual(['none', 'none', 'none']);
	expect(cookieJar.kept.size).toBe(0);
});
