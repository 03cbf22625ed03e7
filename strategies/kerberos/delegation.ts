/** Where a ticket may be handed over, for the server to act with. */
import {InsecureTransportError} from '../../src/errors.ts';
import type {AuthRequest, RuleInfo} from '../../src/strategy/index.ts';
import type {KerberosOptions} from './options.ts';

/** Refuse unconditional delegation over plain http, to this machine too: whoever reads along could be anybody. */
export function checkDelegation(
	{url}: Pick<AuthRequest, 'url'>,
	{delegate}: Pick<KerberosOptions, 'delegate'>,
	rule: RuleInfo,
): void {
	if (delegate !== true || url.protocol === 'https:') return;
	throw new InsecureTransportError({
		code: 'delegation-insecure',
		what: `The rule for ${rule.match} (${rule.source}) delegates its ticket to the server, and ${url.origin} is plain http`,
		hint: "Use https, or set 'delegate: policy' or 'false'",
	});
}
