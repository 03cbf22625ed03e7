/** How users add authenticators and installers: tokens for the container. Importing this loads nothing else. */
import type {InjectionToken} from 'tsyringe';
import type {Installer} from '../installers/installer.ts';
import type {Authenticator} from '../issuers/acme/authenticators/authenticator.ts';

/** Makes authenticators of one name from the options beside `name` in the configuration. */
export interface AuthenticatorFactory {
	readonly name: string;
	create(options: Readonly<Record<string, unknown>>): Authenticator;
}
/** Register under this to add an authenticator: `container.register(AuthenticatorFactory, {useValue: factory})`. */
export const AuthenticatorFactory: InjectionToken<AuthenticatorFactory> = Symbol.for(
	'gatepass.AuthenticatorFactory',
);

/** Makes installers of one name from the options beside `name` in the configuration. */
export interface InstallerFactory {
	readonly name: string;
	create(options: Readonly<Record<string, unknown>>): Installer;
}
/** Register under this to add an installer: `container.register(InstallerFactory, {useValue: factory})`. */
export const InstallerFactory: InjectionToken<InstallerFactory> = Symbol.for('gatepass.InstallerFactory');
