/** Loads a part of the built package that is not exported: what is shipped is what is measured. */

export function loadBuilt<Module>(path: string): Promise<Module> {
	return import(new URL(`../../dist/${path}`, import.meta.url).href) as Promise<Module>;
}
