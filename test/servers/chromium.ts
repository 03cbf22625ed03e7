/** Debian's browser, driven by playwright-core. */
import {type Browser, chromium as driver} from 'playwright-core';
import {findProgram, type RealServer} from './availability.ts';

export const chromium: RealServer = {
	name: 'Chromium',
	install: 'apt-get install chromium',
	whyUnavailable: () => (findProgram('chromium') === undefined ? 'there is no program chromium' : undefined),
};

export function launchChromium(...args: string[]): Promise<Browser> {
	return driver.launch({executablePath: findProgram('chromium') as string, args: ['--no-sandbox', ...args]});
}
