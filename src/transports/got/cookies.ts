/**
 * got's cookie jar sees each response (RFC 6265 section 3), also those that a conversation goes on after: a balancer
 * that binds a client to a server by a cookie binds it with the challenge.
 */
import type {NormalizedOptions} from 'got';
import type {HopRequest} from '../../hop/request.ts';

/** Of got's options: the jar, and what is said about it. */
export type CookieOptions = Pick<NormalizedOptions, 'cookieJar' | 'ignoreInvalidCookies'>;

interface Jar {
	setCookie(cookie: string, url: string): Promise<unknown>;
	getCookieString(url: string): Promise<string>;
}

/** Headers whose `Cookie` is the jar's, not the strategy's. */
const ofJar = new WeakSet<HopRequest['headers']>();

/**
 * Put the cookies of an answer into the jar, and those of the jar into the next leg, unless the caller or the strategy
 * has set that header.
 *
 * @throws what the jar throws for a cookie that it does not take, as got does.
 */
export async function keepCookies(
	options: CookieOptions,
	cookies: readonly string[] | undefined,
	url: URL,
	{headers}: HopRequest,
): Promise<void> {
	const jar = options.cookieJar as unknown as Jar | undefined;
	if (jar === undefined || cookies === undefined) return;
	for (const cookie of cookies) {
		try {
			await jar.setCookie(cookie, url.href);
		} catch (error) {
			if (!options.ignoreInvalidCookies) throw error;
		}
	}
	const {isHeaderExplicitlySet} = options as {isHeaderExplicitlySet?: (name: string) => boolean};
	if (isHeaderExplicitlySet?.call(options, 'cookie') === true) return;
	if (headers.changed.includes('cookie') && !ofJar.has(headers)) return;
	ofJar.add(headers);
	const cookie = await jar.getCookieString(url.href);
	if (cookie !== '') headers.set('cookie', cookie);
	else if (headers.has('cookie')) headers.delete('cookie');
}
