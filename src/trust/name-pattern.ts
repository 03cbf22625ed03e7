/**
 * Names of certificates in the grid's form with slashes, and the patterns of namespaces files. A pattern is matched in time in
 * proportion to its length times the name's, whatever it holds: it is no regular expression of JavaScript's.
 */

/** Other ways to write an attribute, as files of various times have them. */
const otherNames: Readonly<Record<string, string>> = {
	e: 'emailaddress',
	email: 'emailaddress',
	userid: 'uid',
	s: 'st',
	sp: 'st',
	sn: 'serialnumber',
};

/** A name in the form in which names are compared: neither case nor the number of blanks counts (RFC 5280 section 7.1). */
export function comparableName(name: string): string {
	return withUsualAttributes(fromEscapes(name).toLowerCase().replace(/ +/g, ' '));
}

function withUsualAttributes(name: string): string {
	return name.replace(/(^|[/+])([a-z]+)=/g, (all, before: string, attribute: string) => {
		const usual = otherNames[attribute];
		return usual === undefined ? all : `${before}${usual}=`;
	});
}

/** OpenSSL writes what is no printable ASCII as `\xC3`. */
function fromEscapes(name: string): string {
	return name.replace(/\\x([\da-f]{2})/gi, (_, digits: string) =>
		String.fromCharCode(Number.parseInt(digits, 16)),
	);
}

/** What may stand at one place of a name. */
interface Step {
	/** One character, or any of some. */
	readonly accepts: string | 'any' | 'no slash';
	readonly isChar: boolean;
	/** Any number of times, also none. */
	readonly repeats: boolean;
}

/** Names have a hundred characters or two. */
export const longestPattern = 4096;

/** A pattern, ready to be held against names. */
export class NamePattern {
	readonly text: string;
	readonly #steps: readonly Step[];

	private constructor(text: string, steps: readonly Step[]) {
		this.text = text;
		this.#steps = steps;
	}

	/**
	 * As a namespaces file has it: `.` is any character, `[^/]` any but a slash, either followed by `*` (any number) or
	 * `+` (one at least), and `\` takes the next character as it is. All else stands for itself: names have brackets.
	 */
	static fromExpression(text: string): NamePattern {
		const source = comparableName(text);
		const steps: Step[] = [];
		for (let at = 0; at < source.length; ) {
			let step: Step;
			if (source[at] === '\\' && at + 1 < source.length) {
				step = {accepts: source[at + 1] as string, isChar: true, repeats: false};
				at += 2;
			} else if (source[at] === '.') {
				step = {accepts: 'any', isChar: false, repeats: false};
				at += 1;
			} else if (source.startsWith('[^/]', at)) {
				step = {accepts: 'no slash', isChar: false, repeats: false};
				at += 4;
			} else {
				step = {accepts: source[at] as string, isChar: true, repeats: false};
				at += 1;
			}
			const quantifier = step.isChar ? undefined : source[at];
			if (quantifier === '*' || quantifier === '+') at += 1;
			if (quantifier !== '*') steps.push(step);
			if (quantifier === '*' || quantifier === '+') steps.push({...step, repeats: true});
		}
		return new NamePattern(text, withoutRepetition(steps));
	}

	/** Whether the whole of a comparable name is of this pattern. */
	matches(name: string): boolean {
		const steps = this.#steps;
		// All places of the pattern at which the text so far may have led.
		let places = new Set<number>();
		const add = (to: Set<number>, place: number): void => {
			for (let at = place; !to.has(at); at++) {
				to.add(at);
				if (steps[at]?.repeats !== true) break;
			}
		};
		add(places, 0);
		for (const character of name) {
			const next = new Set<number>();
			for (const place of places) {
				const step = steps[place];
				if (step === undefined || !accepts(step, character)) continue;
				add(next, step.repeats ? place : place + 1);
			}
			if (next.size === 0) return false;
			places = next;
		}
		return places.has(steps.length);
	}
}

/** Any text after any text is any text: written a thousand times, it would take a thousand times as long. */
function withoutRepetition(steps: readonly Step[]): Step[] {
	return steps.filter((step, at) => {
		const before = steps[at - 1];
		return !(step.repeats && before?.repeats === true && before.accepts === step.accepts);
	});
}

function accepts(step: Step, character: string): boolean {
	if (step.isChar) return step.accepts === character;
	return step.accepts === 'any' || character !== '/';
}
