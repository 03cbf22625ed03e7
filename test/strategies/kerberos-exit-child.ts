/**
 * Has a call of the library hang, and ends. Parameters: library, principal, how: exit, exit-waiting or end; or wait, to end
 * when the library gives up.
 */
import {KoffiProvider} from '../../strategies/kerberos/koffi-provider.ts';

const [library, principal, how] = process.argv.slice(2);
const provider = new KoffiProvider({
	library,
	source: {principal, password: 'canary-of-a-password'},
	timeout: how === 'exit-waiting' || how === 'wait' ? 600_000 : 2500,
	rule: 'a rule',
});
const leave = (): void => {
	console.log('leaving');
	process.exitCode = 3;
	process.on('exit', () => console.log('heard of it'));
	if (how !== 'end') process.exit();
};
const call = provider.inquire();
console.log('asking');
call.catch(error => {
	console.log(String(error));
	leave();
});
if (how === 'exit-waiting') setTimeout(leave, 2500);
