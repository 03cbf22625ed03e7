/** The options of `command`, and of all that take a credential from a program. */
import {z} from 'zod';

/** Milliseconds. Some programs are written in languages that take a second to start, and ask a server then. */
const usualTimeout = 30_000;

export const programShape = {
	command: z
		.array(z.string())
		.min(1)
		.refine(([program = '']) => program !== '', {error: 'it names no program; write the program first'})
		.describe('The program and its parameters; no shell reads them'),
	timeout: z.int().min(1).max(600_000).default(usualTimeout).describe('Milliseconds for one run'),
	env: z
		.record(z.string(), z.string())
		.optional()
		.describe('Variables of the program, besides the usual ones'),
};

/** A program that prints a text, in the options of other strategies. */
export const programOptions = z.strictObject(programShape);

export type ProgramOptions = z.output<typeof programOptions>;

export const commandOptions = z
	.strictObject({
		...programShape,
		format: z
			.enum(['text', 'json', 'exec-credential', 'credential-process'])
			.default('text')
			.describe(
				"What the program prints: the credential alone, OAuth's JSON, kubectl's ExecCredential, or AWS's credential_process",
			),
		header: z
			.string()
			.regex(/^[!#$%&'*+.^_`|~\dA-Za-z-]+$/, 'it is no header name; write one such as x-api-key')
			.optional()
			.describe('The header that the credential is put into as it is. Default: Authorization, behind Bearer'),
	})
	.superRefine(({format, header}, context) => {
		const refuse = (path: string, message: string): void =>
			context.addIssue({code: 'custom', path: [path], message});
		if (format === 'credential-process') {
			refuse(
				'format',
				"what credential_process prints is no credential to show but keys to sign with; use the strategy aws-sigv4, with 'credentials: {command: …}'",
			);
		}
		if (format === 'exec-credential' && header !== undefined) {
			refuse('header', 'an ExecCredential is shown as kubectl does, behind Bearer; take the header out');
		}
	});

export type CommandOptions = z.output<typeof commandOptions>;
