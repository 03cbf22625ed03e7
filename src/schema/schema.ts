/**
 * What every schema of a setting can do: check a value, be optional, have a default, a description and rules of its
 * own. Names and behaviour are zod's, as far as they go, so that nobody has to learn others; zod itself takes longer
 * to load than all else that reads a configuration (docs/decisions/0018-schemas.md).
 */
import type {StandardSchemaV1} from '@standard-schema/spec';

/** What is wrong with a value, as zod says it. */
export interface Issue {
	readonly code: string;
	readonly message: string;
	/** From the value that was checked inwards. */
	readonly path: readonly (string | number)[];
	/** Whether the value is still of the right kind, so that more can be said about it. */
	readonly continues?: boolean;
	/** The kind that was expected, for `invalid_type`. */
	readonly expected?: string;
	/** The values that are possible, for `invalid_value`. */
	readonly values?: readonly unknown[];
	/** The settings that do not exist, for `unrecognized_keys`. */
	readonly keys?: readonly string[];
	/** The issues of each form, for `invalid_union`. */
	readonly errors?: readonly (readonly Issue[])[];
	/** What has a size, for `too_small` and `too_big`. */
	readonly origin?: 'string' | 'array' | 'number';
	readonly minimum?: number;
	readonly maximum?: number;
	readonly inclusive?: boolean;
}

/** What came of a check. */
export type Checked<Output> =
	| {readonly success: true; readonly data: Output; readonly error?: undefined}
	| {readonly success: false; readonly data?: undefined; readonly error: {readonly issues: readonly Issue[]}};

/** What a rule adds to an issue of its own. */
export interface OwnIssue {
	readonly code: 'custom';
	readonly message: string;
	/** Default: the value itself. */
	readonly path?: readonly (string | number)[];
}

/** What a rule of `superRefine` reports to. */
export interface RefinementContext {
	addIssue(issue: OwnIssue): void;
}

type Rule = (value: never, issues: Issue[]) => void;

/** A text, or an object with it, as zod takes it. */
export type Message = string | {readonly error: string};

export abstract class Schema<Output = unknown, Input = Output> implements StandardSchemaV1<Input, Output> {
	/** Which kind of schema it is: an object of another copy of this module is no instance of its classes. */
	abstract readonly kind: string;
	readonly description: string | undefined;
	protected readonly rules: readonly Rule[] = [];

	/** For whoever speaks Standard Schema (https://standardschema.dev). */
	get '~standard'(): StandardSchemaV1.Props<Input, Output> {
		return {
			version: 1,
			vendor: 'gatepass',
			validate: value => {
				const {success, data, error} = this.safeParse(value);
				return success ? {value: data} : {issues: error.issues};
			},
		};
	}

	/** The value as this kind of schema makes it; what is wrong goes to `issues`. */
	protected abstract take(value: unknown, issues: Issue[]): Output;

	/** Check a value that may be anything. Nothing of it is repeated in the issues. */
	safeParse(value: unknown): Checked<Output> {
		const issues: Issue[] = [];
		const data = this.check(value, issues);
		return issues.length === 0 ? {success: true, data} : {success: false, error: {issues}};
	}

	/** As `safeParse`, for a schema that holds this one. Rules see only values of the right kind. */
	check(value: unknown, issues: Issue[]): Output {
		const before = issues.length;
		const taken = this.take(value, issues);
		for (const rule of this.rules) {
			if (!mayContinue(issues, before)) break;
			rule(taken as never, issues);
		}
		return taken;
	}

	/** Say to a person what the setting is. */
	describe(description: string): this {
		return this.with({description});
	}

	/** Leave for the setting to be missing. */
	optional(): OptionalSchema<Output, Input> {
		return new OptionalSchema(this);
	}

	/** What is taken where the setting is missing. */
	default(value: Output): DefaultSchema<Output, Input> {
		return new DefaultSchema(this, value);
	}

	/** Ask for more than the kind. */
	refine(holds: (value: Output) => boolean, message: Message): this {
		return this.superRefine((value, context) => {
			if (!holds(value)) context.addIssue({code: 'custom', message: textOf(message)});
		});
	}

	/** Report whatever is wrong with a value of the right kind. */
	superRefine(look: (value: Output, context: RefinementContext) => void): this {
		return this.rule((value, issues) => {
			look(value, {addIssue: issue => issues.push({path: [], ...issue, continues: true})});
		});
	}

	protected rule(rule: (value: Output, issues: Issue[]) => void): this {
		return this.with({rules: [...this.rules, rule as Rule]});
	}

	/** The same schema with some settings that are different. */
	protected with(settings: Readonly<Record<string, unknown>>): this {
		return Object.assign(Object.create(Object.getPrototypeOf(this)), this, settings);
	}
}

/** A setting that may be missing. */
export class OptionalSchema<Output, Input> extends Schema<Output | undefined, Input | undefined> {
	readonly kind = 'optional';
	readonly inner: Schema<Output, Input>;

	constructor(inner: Schema<Output, Input>) {
		super();
		this.inner = inner;
	}

	protected take(value: unknown, issues: Issue[]): Output | undefined {
		return value === undefined ? undefined : this.inner.check(value, issues);
	}
}

/** A setting that may be missing, and something else is taken then. */
export class DefaultSchema<Output, Input> extends Schema<Output, Input | undefined> {
	readonly kind = 'default';
	readonly inner: Schema<Output, Input>;
	readonly value: Output;

	constructor(inner: Schema<Output, Input>, value: Output) {
		super();
		this.inner = inner;
		this.value = value;
	}

	protected take(value: unknown, issues: Issue[]): Output {
		return value === undefined ? structuredClone(this.value) : this.inner.check(value, issues);
	}
}

/** Whether all that was found since is about values of the right kind. */
export function mayContinue(issues: readonly Issue[], since = 0): boolean {
	return issues.slice(since).every(({continues}) => continues === true);
}

/** The text of a message. */
export function textOf(message: Message): string {
	return typeof message === 'string' ? message : message.error;
}

/** A value of another kind. */
export function notA(expected: string): Issue {
	return {code: 'invalid_type', expected, message: `Invalid input: expected ${expected}`, path: []};
}
