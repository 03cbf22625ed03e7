/** What is thrown where a token store's own package is not installed. */
import {packageOf, type StoreKind} from '../../config/store-url.ts';
import {TokenCacheError} from '../../errors.ts';

/**
 * For the `catch` of such an `import()`: beside it, so that a bundler leaves a package out that is not installed.
 *
 * @throws {TokenCacheError} where it is that package that is missing; else the error itself.
 */
export function missingPeer(kind: StoreKind): (error: unknown) => never {
	return error => {
		const name = packageOf(kind);
		const {code, message} = error as NodeJS.ErrnoException;
		const isMissing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
		if (name === undefined || !isMissing || !message.includes(name)) throw error;
		throw new TokenCacheError(
			`The token store of 'cache.url' needs the package ${name}, which is not installed. Run 'npm install ${name}'`,
			{cause: error},
		);
	};
}
