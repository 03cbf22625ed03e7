/**
 * The schemas by which gatepass checks settings: what of zod's makers they need, by the same names. To be imported as
 * `z`. Users hand in schemas of whatever library follows Standard Schema; strategies of gatepass's own use these.
 */
import type {StandardSchemaV1} from '@standard-schema/spec';

export type {Issue, RefinementContext} from './schema.ts';
export {DefaultSchema, OptionalSchema, Schema} from './schema.ts';
export * from './structures.ts';
export * from './values.ts';

/** What a schema takes. */
export type input<Checker extends StandardSchemaV1> = StandardSchemaV1.InferInput<Checker>;
/** What a schema makes of it. */
export type output<Checker extends StandardSchemaV1> = StandardSchemaV1.InferOutput<Checker>;
