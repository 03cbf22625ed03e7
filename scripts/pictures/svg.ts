/** The few shapes that the pictures of the documentation are made of. They bring their own background and colours. */

export const colours = {
	paper: '#ffffff',
	ink: '#1f2937',
	quiet: '#6b7280',
	line: '#9ca3af',
	panel: '#f3f4f6',
	accent: '#0f766e',
	accentPaper: '#e6f4f1',
} as const;

export interface Box {
	readonly x: number;
	readonly y: number;
	readonly width: number;
	readonly height: number;
}

/** A picture with a title and a description, which screen readers read out. */
export function picture(
	size: {width: number; height: number},
	title: string,
	description: string,
	shapes: readonly string[],
): string {
	const {width, height} = size;
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title description" font-family="system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif" font-size="14">`,
		`<title id="title">${escapeText(title)}</title>`,
		`<desc id="description">${escapeText(description)}</desc>`,
		`<rect width="${width}" height="${height}" rx="8" fill="${colours.paper}"/>`,
		...shapes,
		'</svg>',
		'',
	].join('\n');
}

export function box({x, y, width, height}: Box, fill: string, stroke: string = colours.line): string {
	return `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="6" fill="${fill}" stroke="${stroke}"/>`;
}

/** One line of text; `y` is its middle. */
export function text(
	x: number,
	y: number,
	words: string,
	{fill = colours.ink, ...attributes}: Readonly<Record<string, string>> = {},
): string {
	const others = Object.entries(attributes).map(([name, value]) => ` ${name}="${value}"`);
	return `<text x="${x}" y="${y}" dy="0.35em" fill="${fill}"${others.join('')}>${escapeText(words)}</text>`;
}

/** A line from one point to another that leaves and arrives level. */
export function curve(from: readonly [number, number], to: readonly [number, number]): string {
	const middle = (from[0] + to[0]) / 2;
	return `<path d="M${from[0]} ${from[1]} C${middle} ${from[1]} ${middle} ${to[1]} ${to[0]} ${to[1]}" fill="none" stroke="${colours.line}"/>`;
}

export function escapeText(words: string): string {
	return words
		.replaceAll('&', '&amp;')
		.replaceAll('<', '&lt;')
		.replaceAll('>', '&gt;')
		.replaceAll('"', '&quot;');
}
