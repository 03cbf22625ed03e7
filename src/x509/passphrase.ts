/** Errors that mean: there is a passphrase to be given, or another one. A terminal can then ask for it. */
import {CertificateError} from '../errors.ts';

const needed = new WeakSet<object>();
const wrong = new WeakSet<object>();

/** The error where something is encrypted and no passphrase was given. `what` begins a sentence and names the file. */
export function passphraseNeeded(what: string): CertificateError {
	const error = new CertificateError({
		code: 'passphrase-missing',
		what: `${what} is encrypted`,
		hint: `Give the option 'passphrase', as '\${NAME}' for a variable or '\${file:/path}' for a file`,
	});
	needed.add(error);
	return error;
}

/** Whether `error` says that a passphrase was needed and none was given. */
export function isPassphraseNeeded(error: unknown): boolean {
	return typeof error === 'object' && error !== null && needed.has(error);
}

/** The error where something does not open: the passphrase is wrong, or the file damaged, which nobody can tell apart. */
export function passphraseWrong(what: string, hint: string): CertificateError {
	const error = new CertificateError({code: 'passphrase-wrong', what, hint});
	wrong.add(error);
	return error;
}

/** Whether `error` says that something does not open with the passphrase that was given. */
export function isPassphraseWrong(error: unknown): boolean {
	return typeof error === 'object' && error !== null && wrong.has(error);
}
