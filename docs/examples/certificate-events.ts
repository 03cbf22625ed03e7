/** Tells of certificates that are about to expire, and of those that could not be taken up. */
// #region events
import {subscribe} from 'node:diagnostics_channel';
import type {EventPayloads} from 'gatepass';

subscribe('gatepass:certificate:expiring', message => {
	const {subject, file, days} = message as EventPayloads['gatepass:certificate:expiring'];
	console.warn(`${file} (${subject}) expires in less than ${days} days`);
});
subscribe('gatepass:certificate:error', message => {
	const {error} = message as EventPayloads['gatepass:certificate:error'];
	console.error(error.message);
});
// #endregion
