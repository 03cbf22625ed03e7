/** Writes the events of one gatepass to a logger of the caller's. */
import type {EventListener, EventPayloads} from './events.ts';

/** As pino's loggers are: fields first, then a message. `console` does not fit; `pino()` and fastify's `log` do. */
export interface Logger {
	debug(fields: object, message: string): void;
	info(fields: object, message: string): void;
	warn(fields: object, message: string): void;
}

/** A listener that logs each event at the level that it deserves. */
export function logTo(logger: Logger): EventListener {
	return (name, payload) => {
		switch (name) {
			case 'gatepass:token:error': {
				const {error, ...fields} = payload as EventPayloads['gatepass:token:error'];
				// The message and code only: a logger may print whatever hangs on an error.
				logger.warn(
					{...fields, code: error.code, reason: error.message},
					'gatepass: a token could not be had, kept or renewed',
				);
				return;
			}
			case 'gatepass:token:issue':
				logger.info(payload, 'gatepass: a token was issued');
				return;
			case 'gatepass:token:refresh':
				logger.info(payload, 'gatepass: a token was renewed');
				return;
			case 'gatepass:token:invalidate':
				logger.info(payload, 'gatepass: a token was refused and dropped');
				return;
			case 'gatepass:token:hit':
				logger.debug(payload, 'gatepass: a token was served from the cache');
				return;
			case 'gatepass:certificate:replaced':
				logger.info(payload, 'gatepass: another certificate was taken up');
				return;
			case 'gatepass:certificate:expiring': {
				const {days} = payload as EventPayloads['gatepass:certificate:expiring'];
				logger.warn(payload, `gatepass: a certificate expires in less than ${days} days`);
				return;
			}
			case 'gatepass:certificate:warning':
				logger.warn(payload, 'gatepass: servers may refuse a certificate');
				return;
			case 'gatepass:certificate:error': {
				const {error, ...fields} = payload as EventPayloads['gatepass:certificate:error'];
				logger.warn(
					{...fields, code: error.code, reason: error.message},
					'gatepass: a changed certificate cannot be used; the one before stays in use',
				);
				return;
			}
			case 'gatepass:certificate:renewal': {
				const {kind} = payload as EventPayloads['gatepass:certificate:renewal'];
				if (kind === 'renewed') logger.info(payload, 'gatepass: a certificate was renewed');
				else logger.warn(payload, 'gatepass: a renewal needs attention');
				return;
			}
			case 'gatepass:trust:error': {
				const {error, source} = payload as EventPayloads['gatepass:trust:error'];
				logger.warn(
					{source, code: error.code, reason: error.message},
					'gatepass: a file of a trust store cannot be used',
				);
				return;
			}
			case 'gatepass:strategy:notice':
				logger.info(payload, 'gatepass: a strategy has something to say');
				return;
			case 'gatepass:leg':
				return;
			case 'gatepass:request:unmatched':
				logger.warn(payload, 'gatepass: a server refused a request that no host rule matches');
				return;
			case 'gatepass:request': {
				const {refusal, ...fields} = payload as EventPayloads['gatepass:request'];
				const {status} = fields;
				if (refusal !== undefined) {
					const {code, message: reason} = refusal;
					logger.warn({...fields, code, reason}, 'gatepass: a server refused a credential, and says why');
					return;
				}
				logger.debug(fields, `gatepass: a request ${status === undefined ? 'failed' : 'was answered'}`);
			}
		}
	};
}
