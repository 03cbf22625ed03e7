/** Loads a part of gatepass that is not exported, from its source: in what is built, parts have no files of their own. */

export function loadPart<Module>(path: string): Promise<Module> {
	return import(new URL(`../../${path}`, import.meta.url).href) as Promise<Module>;
}
