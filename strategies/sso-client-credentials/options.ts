/** The options of `sso-client-credentials`: those that all strategies share which talk to an authorization server. */
import {z} from 'zod';
import {refuseMistakes, ssoShape} from '../sso/options.ts';

export const ssoOptions = z.strictObject(ssoShape).superRefine(refuseMistakes);
