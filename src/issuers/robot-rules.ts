/**
 * The rules for those who ask CERN's Grid CA for a robot certificate, as published at
 * https://ca.cern.ch/ca/Help/?kbid=021003. There are no exceptions, so it is better to know before asking.
 */

/** The answers of the applicant. */
export interface Checklist {
	/** The applicant's status in CERN's HR database, such as `STAFF`; or `true` for one of {@link memberCategories}. */
	readonly memberCategory: string | boolean;
	/** Whether the applicant owns the service account. */
	readonly ownsServiceAccount: boolean;
	/** Whether mail to the service account reaches its owner, or an e-group of those responsible. */
	readonly forwardsMail: boolean;
	/** Whether it is wanted so that people can share a certificate instead of showing their own. */
	readonly forSharing: boolean;
	/** Whether it is wanted as a certificate of the account itself, not of an automated client. */
	readonly forAccount: boolean;
}

/** A rule that the applicant does not meet. */
export interface UnmetRule {
	readonly key: keyof Checklist;
	/** What is wrong. */
	readonly message: string;
	/** What to do about it. */
	readonly hint: string;
}

/** The status of those whom CERN has seen in person. */
export const memberCategories: readonly string[] = [
	...['STAFF', 'FELL', 'PDAS', 'PJAS', 'USAS', 'CASS', 'UPAS', 'USER', 'DOCT', 'TECH', 'ADMI', 'SUMM'],
	...['CHIL', 'APPR', 'COAS', 'GPRO', 'VISC', 'TRNE'],
	...['ENTC', 'PART', 'HONO'],
];

/** What the last three mean; the others are members of the personnel. */
export const categoryHints: Readonly<Record<string, string>> = {
	ENTC: 'employee of a contractor',
	PART: 'participant in an experiment',
	HONO: 'honorary member: EXTN with reason HONO',
};

interface Rule {
	readonly key: keyof Checklist;
	/** As it is asked in a terminal. */
	readonly question: string;
	readonly isMet: (answer: string | boolean) => boolean;
	/** What it means that the rule is not met. */
	readonly message: string;
	readonly hint: string;
}

/** The rules in the order in which they are asked. */
export const rules: readonly Rule[] = [
	{
		key: 'memberCategory',
		question: "Your status in CERN's HR database",
		isMet: answer => answer === true || isMemberCategory(answer),
		message: 'the applicant has no status for which CERN registers people in person',
		hint: `Have the owner of the service account ask who has one (${memberCategories.join(', ')}); others turn to the CA of their own institute`,
	},
	{
		key: 'ownsServiceAccount',
		question: 'Do you own the service account?',
		isMet: answer => answer === true,
		message: 'the applicant does not own the service account',
		hint: 'Have its owner ask, or become its owner in the account management first',
	},
	{
		key: 'forwardsMail',
		question: 'Is mail to the service account forwarded to you, or to an e-group of those responsible?',
		isMet: answer => answer === true,
		message: 'mail to the service account is not forwarded',
		hint: 'Forward it to its owner or to an e-group of those responsible: the CA writes there',
	},
	{
		key: 'forSharing',
		question: 'Is the certificate to be shared, so that people need not show their own?',
		isMet: answer => answer === false,
		message: 'a robot certificate must not be shared among people',
		hint: 'Let each person ask for a user certificate, and keep this one to the automated client',
	},
	{
		key: 'forAccount',
		question: 'Is it to be a certificate for the service account itself, not for an automated client?',
		isMet: answer => answer === false,
		message: 'a robot certificate is not there to give a service account a certificate',
		hint: 'Ask for one only for a program that runs without people',
	},
];

/** `EXTN` counts with the reason HONO only, so it has to be said. */
function isMemberCategory(answer: string | boolean): boolean {
	if (typeof answer !== 'string') return false;
	const status = answer.trim().toUpperCase();
	return memberCategories.includes(status) || /^EXTN\W+HONO\W*$/.test(status);
}

/** The rules that the applicant does not meet. */
export function unmetRules(checklist: Checklist): UnmetRule[] {
	return rules
		.filter(({key, isMet}) => !isMet(checklist[key]))
		.map(({key, message, hint}) => ({key, message, hint}));
}
