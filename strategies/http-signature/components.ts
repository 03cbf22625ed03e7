/** The components of a request that a signature covers (RFC 9421 section 2), and the base that is signed. */

/** A component as a rule names it, taken apart. */
export interface Component {
	/** As it stands in the signature: `"@query-param";name="Pet"`. */
	readonly identifier: string;
	readonly name: string;
	/** For `@query-param`. */
	readonly parameter?: string;
}

/** What is signed of a request, as it is sent. */
export interface Message {
	readonly method: string;
	/** `https:`. */
	readonly protocol: string;
	/** As `Host` has it. */
	readonly authority: string;
	readonly path: string;
	/** With its question mark, or empty. */
	readonly search: string;
	/** The value of a header, by lower-case name. */
	header(name: string): string | undefined;
}

/** Why a component cannot be signed. The message is the rest of a sentence that begins with the request. */
export class MissingComponent extends Error {}

const derived = new Set([
	'@method',
	'@target-uri',
	'@authority',
	'@scheme',
	'@request-target',
	'@path',
	'@query',
	'@query-param',
]);

/** Take a component apart: `@method`, `content-type`, `@query-param;name="Pet"`. `undefined`: there is none of this name. */
export function parseComponent(written: string): Component | undefined {
	const [, quoted, plain, parameter] =
		/^(?:"([^"]+)"|([^";]+))(?:;\s*name="([^"\\]*)")?$/.exec(written.trim()) ?? [];
	const name = (quoted ?? plain ?? '').trim().toLowerCase();
	const isField = /^[!#$%&'*+.^_`|~\da-z-]+$/.test(name);
	if (!isField && !derived.has(name)) return undefined;
	if ((name === '@query-param') !== (parameter !== undefined)) return undefined;
	if (parameter === undefined) return {identifier: `"${name}"`, name};
	return {identifier: `"${name}";name="${encodeName(parameter)}"`, name, parameter};
}

/** What stands behind a label in `Signature-Input`. */
export function signatureParameters(
	components: readonly Component[],
	created: number,
	keyId: string,
): string {
	const covered = components.map(({identifier}) => identifier).join(' ');
	return `(${covered});created=${created};keyid="${keyId.replace(/["\\]/g, '\\$&')}"`;
}

/**
 * The base that is signed (RFC 9421 section 2.5).
 *
 * @throws {MissingComponent} where the request has no such component.
 */
export function signatureBase(
	message: Message,
	components: readonly Component[],
	parameters: string,
): string {
	const lines = components.map(
		component => `${component.identifier}: ${componentValue(component, message)}\n`,
	);
	return `${lines.join('')}"@signature-params": ${parameters}`;
}

function componentValue({name, parameter}: Component, message: Message): string {
	const {method, protocol, authority, path, search} = message;
	switch (name) {
		case '@method':
			return method;
		case '@target-uri':
			return `${protocol}//${authority}${path}${search}`;
		case '@authority':
			return authority.toLowerCase();
		case '@scheme':
			return protocol.slice(0, -1);
		case '@request-target':
			return path + search;
		case '@path':
			return path;
		case '@query':
			return search === '' ? '?' : search;
		case '@query-param':
			return queryParameter(search, parameter as string);
		default: {
			const value = message.header(name);
			if (value === undefined) throw new MissingComponent(`has no header '${name}'`);
			return value.trim();
		}
	}
}

/** RFC 9421 section 2.2.8: decoded as a form is, and escaped again. */
function queryParameter(search: string, name: string): string {
	const values = new URLSearchParams(search).getAll(name);
	const [value] = values;
	if (value === undefined) throw new MissingComponent(`has no parameter '${name}' in its query`);
	if (values.length > 1)
		throw new MissingComponent(`has the parameter '${name}' more than once in its query`);
	return encodeName(value);
}

function encodeName(text: string): string {
	return encodeURIComponent(text.toWellFormed()).replace(
		/[!'()~]/g,
		character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
	);
}
