/** Schemas of single values: texts, numbers, choices. */
import {type Issue, type Message, notA, Schema, textOf} from './schema.ts';

/** As zod knows an address of mail: less than RFC 5322 allows. */
const emailPattern =
	/^(?:[A-Za-z0-9_'+-]+\.)*[A-Za-z0-9_'+-]*[A-Za-z0-9_+-]@(?:[A-Za-z0-9][A-Za-z0-9-]*\.)+[A-Za-z]{2,}$/;
/** RFC 4648 section 4, with its padding. */
const base64Pattern = /^$|^(?:[0-9a-zA-Z+/]{4})*(?:(?:[0-9a-zA-Z+/]{2}==)|(?:[0-9a-zA-Z+/]{3}=))?$/;

export class StringSchema extends Schema<string> {
	readonly kind = 'string';
	readonly minLength: number | undefined;
	readonly pattern: RegExp | undefined;
	/** As JSON Schema calls it. */
	readonly format: 'uri' | 'email' | 'base64' | undefined;

	protected take(value: unknown, issues: Issue[]): string {
		if (typeof value !== 'string') issues.push(notA('string'));
		return value as string;
	}

	/** Characters at least. */
	min(minimum: number, message?: Message): this {
		const text =
			message === undefined ? `Too small: expected at least ${minimum} characters` : textOf(message);
		return this.with({minLength: minimum}).rule((value, issues) => {
			if (value.length >= minimum) return;
			const size = {code: 'too_small', origin: 'string', minimum, inclusive: true} as const;
			issues.push({...size, message: text, path: [], continues: true});
		});
	}

	/** The pattern must have no state: neither `g` nor `y`. */
	regex(pattern: RegExp, message?: Message): this {
		const text = message === undefined ? `it does not match ${pattern}` : textOf(message);
		return this.with({pattern}).formatted(value => pattern.test(value), text);
	}

	/** A string in a form that has a name. */
	form(format: NonNullable<StringSchema['format']>, fits: (value: string) => boolean, message: string): this {
		return this.with({format}).formatted(fits, message);
	}

	protected formatted(fits: (value: string) => boolean, message: string): this {
		return this.rule((value, issues) => {
			if (!fits(value)) issues.push({code: 'invalid_format', message, path: [], continues: true});
		});
	}
}

class UrlSchema extends StringSchema {
	/** What stands around a URL is no part of it (https://url.spec.whatwg.org). */
	protected override take(value: unknown, issues: Issue[]): string {
		const text = super.take(value, issues);
		return typeof text === 'string' ? text.trim() : text;
	}
}

/** Any text. */
export function string(): StringSchema {
	return new StringSchema();
}

/** An absolute URL. */
export function url({
	protocol,
	error,
}: {
	readonly protocol?: RegExp;
	readonly error?: string;
} = {}): StringSchema {
	const isUrl = (value: string): boolean => {
		const parsed = URL.parse(value);
		return parsed !== null && (protocol === undefined || protocol.test(parsed.protocol.slice(0, -1)));
	};
	return new UrlSchema().form(
		'uri',
		isUrl,
		error ?? 'it is no URL; write one such as https://www.example.org',
	);
}

/** An address of mail. */
export function email(): StringSchema {
	const message = 'it is no mail address; write one such as alice@example.org';
	return string()
		.regex(emailPattern, message)
		.form('email', () => true, message);
}

/** Bytes, written in base64. */
export function base64(message: string): StringSchema {
	return string()
		.regex(base64Pattern, message)
		.form('base64', () => true, message);
}

export class IntegerSchema extends Schema<number> {
	readonly kind = 'integer';
	readonly minimum: number | undefined;
	readonly exclusiveMinimum: number | undefined;
	readonly maximum: number = Number.MAX_SAFE_INTEGER;

	protected take(value: unknown, issues: Issue[]): number {
		if (typeof value !== 'number' || !Number.isFinite(value)) issues.push(notA('number'));
		else if (!Number.isInteger(value)) issues.push(notA('int'));
		else if (!Number.isSafeInteger(value)) issues.push(beyond('too_big', Number.MAX_SAFE_INTEGER, true));
		return value as number;
	}

	min(minimum: number): this {
		return this.with({minimum}).rule((value, issues) => {
			if (value < minimum) issues.push(beyond('too_small', minimum, true));
		});
	}

	max(maximum: number): this {
		return this.with({maximum}).rule((value, issues) => {
			if (value > maximum) issues.push(beyond('too_big', maximum, true));
		});
	}

	positive(): this {
		return this.with({exclusiveMinimum: 0}).rule((value, issues) => {
			if (value <= 0) issues.push(beyond('too_small', 0, false));
		});
	}
}

function beyond(code: 'too_small' | 'too_big', limit: number, inclusive: boolean): Issue {
	const message = `Too ${code === 'too_small' ? 'small' : 'big'}: the limit is ${limit}`;
	const size = code === 'too_small' ? {minimum: limit} : {maximum: limit};
	return {code, origin: 'number', ...size, inclusive, message, path: [], continues: true};
}

/** A whole number. */
export function int(): IntegerSchema {
	return new IntegerSchema();
}

export class BooleanSchema extends Schema<boolean> {
	readonly kind = 'boolean';

	protected take(value: unknown, issues: Issue[]): boolean {
		if (typeof value !== 'boolean') issues.push(notA('boolean'));
		return value as boolean;
	}
}

/** `true` or `false`. */
export function boolean(): BooleanSchema {
	return new BooleanSchema();
}

/** One of some values. */
export class ChoiceSchema<Value extends string | boolean> extends Schema<Value> {
	readonly kind = 'choice';
	readonly values: readonly Value[];

	constructor(values: readonly Value[]) {
		super();
		this.values = values;
	}

	/** The first of the values: of a literal, the only one. */
	get value(): Value {
		return this.values[0] as Value;
	}

	protected take(value: unknown, issues: Issue[]): Value {
		if (!this.values.includes(value as Value)) {
			const message = `Invalid input: expected ${this.values.join(' or ')}`;
			issues.push({code: 'invalid_value', values: this.values, message, path: []});
		}
		return value as Value;
	}
}

/** This value alone. */
export function literal<const Value extends string | boolean>(value: Value): ChoiceSchema<Value> {
	return new ChoiceSchema([value]);
}

function choice<const Value extends string>(values: readonly Value[]): ChoiceSchema<Value> {
	return new ChoiceSchema(values);
}

/** One of these words. */
export {choice as enum};

export class AnySchema<Value> extends Schema<Value> {
	readonly kind = 'any';

	protected take(value: unknown, _issues: Issue[]): Value {
		return value as Value;
	}
}

/** Anything, nothing included. */
export function unknown(): AnySchema<unknown> {
	return new AnySchema();
}

class CustomSchema<Value> extends AnySchema<Value> {
	readonly is: (value: unknown) => boolean;
	readonly message: string;

	constructor(is: (value: unknown) => boolean, message: string) {
		super();
		this.is = is;
		this.message = message;
	}

	protected override take(value: unknown, issues: Issue[]): Value {
		if (!this.is(value)) issues.push({code: 'custom', message: this.message, path: []});
		return value as Value;
	}
}

/** What JSON has no words for. */
export function custom<Value>(is: (value: unknown) => boolean, message: Message): Schema<Value> {
	return new CustomSchema<Value>(is, textOf(message));
}
