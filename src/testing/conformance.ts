export interface ConformanceSettings {
	readonly options?: unknown;
}
export async function conformance(
	_strategy: unknown,
	_settings: ConformanceSettings = {},
): Promise<string[]> {
	throw new Error('todo');
}
