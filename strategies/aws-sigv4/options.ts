/** The options of `aws-sigv4`. */
import {z} from 'zod';
import {programShape} from '../command/options.ts';
import {keepsPath} from './canonical.ts';
import {checksumNames} from './checksums.ts';

const name = z.string().regex(/^[A-Za-z\d._-]+$/, 'it has letters, digits, dots and hyphens only');

const credentials = z
	.strictObject({
		profile: z.string().min(1).optional().describe("A profile of AWS's shared files"),
		command: programShape.command.optional(),
		timeout: programShape.timeout,
		env: programShape.env,
		container: z
			.union([z.literal(true), z.url({protocol: /^https?$/})])
			.optional()
			.describe("A container's endpoint; true: the one that the variables name"),
	})
	.superRefine(({profile, command, container}, context) => {
		if ([profile, command, container].filter(value => value !== undefined).length !== 1) {
			context.addIssue({code: 'custom', message: "set one of 'profile', 'command' and 'container'"});
		}
	});

export const sigv4Options = z
	.strictObject({
		service: name.describe('The name of the service in the signature, such as s3 or execute-api'),
		region: name
			.optional()
			.describe('The region. Default: AWS_REGION, AWS_DEFAULT_REGION, or that of the profile'),
		accessKeyId: z
			.string()
			.regex(/^[\x21-\x7E]+$/)
			.optional()
			.describe('The name of the key'),
		secretAccessKey: z.string().min(1).optional().describe('The key. It is never sent'),
		sessionToken: z
			.string()
			.regex(/^[\x21-\x7E]+$/)
			.optional()
			.describe('What comes with a temporary key'),
		credentials: credentials
			.optional()
			.describe('Where the key comes from. Default: the usual variables, the shared files, a container'),
		form: z
			.enum(['header', 'query'])
			.default('header')
			.describe('Where the signature stands: in a header, or in the URL'),
		payload: z
			.enum(['signed', 'unsigned', 'streaming', 'streaming-unsigned'])
			.default('signed')
			.describe(
				'Whether the body is part of what is signed; streaming: in chunks, as it is sent, for S3; streaming-unsigned: in chunks with a checksum behind them',
			),
		checksum: z
			.enum(checksumNames)
			.optional()
			.describe('What is sent behind a body in chunks. Default: none; with streaming-unsigned crc32'),
	})
	.superRefine((options, context) => {
		const {accessKeyId, secretAccessKey, sessionToken, credentials} = options;
		const {service, form, payload, checksum} = options;
		const refuse = (path: string, message: string): void =>
			context.addIssue({code: 'custom', path: [path], message});
		if (accessKeyId !== undefined && secretAccessKey === undefined) {
			refuse('accessKeyId', "it needs 'secretAccessKey', too");
		}
		if (secretAccessKey !== undefined && accessKeyId === undefined) {
			refuse('secretAccessKey', "it needs 'accessKeyId', too");
		}
		if (sessionToken !== undefined && accessKeyId === undefined) {
			refuse('sessionToken', "it needs 'accessKeyId' and 'secretAccessKey', too");
		}
		if (credentials !== undefined && accessKeyId !== undefined) {
			refuse('credentials', "set either a key or 'credentials', where a key comes from");
		}
		const isStreamed = payload.startsWith('streaming');
		if (isStreamed && form === 'query') {
			refuse('payload', "a body in chunks needs the signature in a header: set 'form: header'");
		}
		if (isStreamed && !keepsPath(service)) refuse('payload', 'only S3 takes a body in chunks');
		if (checksum !== undefined && !isStreamed) {
			refuse('checksum', "it needs 'payload: streaming' or 'payload: streaming-unsigned'");
		}
	});

export type Sigv4Options = z.output<typeof sigv4Options>;
