/** All mistakes of a configuration at once. */
// #region problems
import {ConfigurationError, createGatepass} from 'gatepass';

try {
	await createGatepass({config: 'mistakes.json'});
} catch (error) {
	if (!(error instanceof ConfigurationError)) throw error;
	for (const {line, path, message, hint} of error.problems) {
		console.log(`line ${line}, ${path}: ${message}. ${hint}`);
	}
}
// #endregion
