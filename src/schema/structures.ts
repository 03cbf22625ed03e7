/** Schemas of values that hold others: groups of settings, lists, tables, and what has several forms. */
import type {StandardSchemaV1} from '@standard-schema/spec';
import {type Issue, mayContinue, notA, Schema} from './schema.ts';

/** The settings of a group, by name. */
export type Shape = Readonly<Record<string, Schema>>;

type Made<Part extends Schema> = StandardSchemaV1.InferOutput<Part>;
type Written<Part extends Schema> = StandardSchemaV1.InferInput<Part>;
type Flat<Type> = {[Key in keyof Type]: Type[Key]};

/** What may be missing has a question mark. */
type WithMissing<Type> = Flat<
	{[Key in keyof Type as undefined extends Type[Key] ? never : Key]: Type[Key]} & {
		[Key in keyof Type as undefined extends Type[Key] ? Key : never]?: Type[Key];
	}
>;
type MadeOf<Parts extends Shape> = WithMissing<{-readonly [Key in keyof Parts]: Made<Parts[Key]>}>;
type WrittenAs<Parts extends Shape> = WithMissing<{-readonly [Key in keyof Parts]: Written<Parts[Key]>}>;

/** What is to become of settings that the shape does not name. */
type Others = 'refused' | 'left out' | 'kept';
type Kept<Rest extends Others> = Rest extends 'kept' ? {[key: string]: unknown} : unknown;

export class ObjectSchema<Parts extends Shape = Shape, Rest extends Others = Others> extends Schema<
	MadeOf<Parts> & Kept<Rest>,
	WrittenAs<Parts> & Kept<Rest>
> {
	readonly kind = 'object';
	readonly shape: Parts;
	readonly others: Others;

	constructor(shape: Parts, others: Rest) {
		super();
		this.shape = shape;
		this.others = others;
	}

	/** The same with more settings, or others in the place of some. */
	extend<More extends Shape>(more: More): ObjectSchema<Flat<Omit<Parts, keyof More> & More>, Rest> {
		return new ObjectSchema({...this.shape, ...more} as never, this.others as Rest);
	}

	protected take(value: unknown, issues: Issue[]): MadeOf<Parts> & Kept<Rest> {
		if (!isGroup(value)) {
			issues.push(notA('object'));
			return value as never;
		}
		const made: Record<string, unknown> = {};
		for (const [key, part] of Object.entries(this.shape)) {
			const isThere = Object.hasOwn(value, key);
			const inner = takeInside(part, isThere ? value[key] : undefined, key, issues);
			if (isThere || inner !== undefined) made[key] = inner;
		}
		if (this.others !== 'left out') {
			const unknown = Object.keys(value).filter(key => !Object.hasOwn(this.shape, key));
			if (this.others === 'kept') for (const key of unknown) define(made, key, value[key]);
			else if (unknown.length > 0) issues.push(unrecognized(unknown));
		}
		return made as never;
	}
}

/** The settings that there are may be looked at all the same. */
function unrecognized(keys: readonly string[]): Issue {
	return {code: 'unrecognized_keys', keys, message: 'Unrecognized keys', path: [], continues: true};
}

/** Settings of which no others may be there. */
export function strictObject<Parts extends Shape>(shape: Parts): ObjectSchema<Parts, 'refused'> {
	return new ObjectSchema(shape, 'refused');
}

/** Settings beside which there may be others. */
export function looseObject<Parts extends Shape>(shape: Parts): ObjectSchema<Parts, 'kept'> {
	return new ObjectSchema(shape, 'kept');
}

export class ArraySchema<Item extends Schema = Schema> extends Schema<Made<Item>[], Written<Item>[]> {
	readonly kind = 'array';
	readonly element: Item;
	readonly minItems: number | undefined;

	constructor(element: Item) {
		super();
		this.element = element;
	}

	/** Items at least. */
	min(minimum: number): this {
		return this.with({minItems: minimum}).rule((items, issues) => {
			if (items.length >= minimum) return;
			const message = `Too small: expected at least ${minimum} items`;
			const size = {code: 'too_small', origin: 'array', minimum, inclusive: true} as const;
			issues.push({...size, message, path: [], continues: true});
		});
	}

	protected take(value: unknown, issues: Issue[]): Made<Item>[] {
		if (Array.isArray(value)) {
			// What is missing in the middle of a list is `undefined`, and no item that may be passed over.
			return Array.from(value, (item, index) => takeInside(this.element, item, index, issues) as Made<Item>);
		}
		issues.push(notA('array'));
		return value as Made<Item>[];
	}
}

/** A list. */
export function array<Item extends Schema>(element: Item): ArraySchema<Item> {
	return new ArraySchema(element);
}

export class RecordSchema<Item extends Schema = Schema> extends Schema<
	Record<string, Made<Item>>,
	Record<string, Written<Item>>
> {
	readonly kind = 'record';
	readonly value: Item;

	constructor(value: Item) {
		super();
		this.value = value;
	}

	protected take(value: unknown, issues: Issue[]): Record<string, Made<Item>> {
		if (!isGroup(value)) {
			issues.push(notA('record'));
			return value as never;
		}
		const made: Record<string, unknown> = {};
		for (const [key, item] of Object.entries(value)) {
			define(made, key, takeInside(this.value, item, key, issues));
		}
		return made as Record<string, Made<Item>>;
	}
}

/** Values by names that are the user's. */
export function record<Item extends Schema>(_key: Schema<string>, value: Item): RecordSchema<Item> {
	return new RecordSchema(value);
}

export class UnionSchema<Forms extends readonly Schema[] = readonly Schema[]> extends Schema<
	Made<Forms[number]>,
	Written<Forms[number]>
> {
	readonly kind = 'union';
	readonly options: Forms;

	constructor(options: Forms) {
		super();
		this.options = options;
	}

	/** The first form that fits. If only one is of the right kind, what is wrong with that is the mistake. */
	protected take(value: unknown, issues: Issue[]): Made<Forms[number]> {
		const tried: {readonly made: unknown; readonly found: readonly Issue[]}[] = [];
		for (const form of this.options) {
			const found: Issue[] = [];
			const made = form.check(value, found);
			if (found.length === 0) return made as Made<Forms[number]>;
			tried.push({made, found});
		}
		const ofKind = tried.filter(({found}) => mayContinue(found));
		const [only] = ofKind;
		if (only !== undefined && ofKind.length === 1) {
			issues.push(...only.found);
			return only.made as Made<Forms[number]>;
		}
		const errors = tried.map(({found}) => found);
		issues.push({code: 'invalid_union', errors, message: 'Invalid input', path: []});
		return value as never;
	}
}

/** A value that has several forms. */
export function union<const Forms extends readonly Schema[]>(options: Forms): UnionSchema<Forms> {
	return new UnionSchema(options);
}

/** Check a part of a value; its issues begin there. */
function takeInside(schema: Schema, value: unknown, key: string | number, issues: Issue[]): unknown {
	const found: Issue[] = [];
	const made = schema.check(value, found);
	for (const issue of found) issues.push({...issue, path: [key, ...issue.path]});
	return made;
}

/** Also a key such as `__proto__` is one of its own then. */
function define(target: Record<string, unknown>, key: string, value: unknown): void {
	Object.defineProperty(target, key, {value, configurable: true, enumerable: true, writable: true});
}

function isGroup(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}
