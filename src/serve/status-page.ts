/**
 * The status page: a document, its style and its script. The script writes texts only, never markup, so that what a
 * server says stays a text.
 */

export const statusPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>gatepass</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/-/status.css">
</head>
<body>
<header>
<h1>gatepass</h1>
<p id="health" role="status">…</p>
<p id="about"></p>
</header>
<main>
<section id="reload" hidden><h2>The configuration on disk is not in force</h2><p></p></section>
<section id="warnings" hidden><h2>Warnings</h2><ul></ul></section>
<section><h2>Rules</h2><ul id="rules" class="cards"></ul></section>
<section id="expiry" hidden><h2>What expires when</h2><ol></ol></section>
<section id="routes" hidden><h2>Routes</h2><dl></dl></section>
<section><h2>Last requests</h2>
<p id="none">None that a rule was for.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Last requests"><table id="hops" hidden>
<thead><tr><th>Time</th><th>Request</th><th>Rule</th><th>Sent</th><th>Status</th><th>Took</th></tr></thead>
<tbody></tbody></table></div></section>
</main>
<noscript><p>This page needs its script. The same is in <a href="/-/status.json">status.json</a> and <a href="/-/metrics">metrics</a>.</p></noscript>
<script src="/-/status.js"></script>
</body>
</html>
`;

export const statusStyle = `:root {
	color-scheme: light dark;
	--paper: #fbfbf9; --card: #ffffff; --ink: #1c2024; --faint: #5c6670; --line: #dfe2e5;
	--good: #17703a; --bad: #b3261e; --mild: #8a5a00; --bar: #2f6fb0;
}
@media (prefers-color-scheme: dark) {
	:root {
		--paper: #14171a; --card: #1c2024; --ink: #e8eaec; --faint: #a0a8b0; --line: #343a40;
		--good: #62c98a; --bad: #ff8a80; --mild: #f0b95a; --bar: #6fa8dc;
	}
}
* { box-sizing: border-box; }
body {
	margin: 0 auto; padding: 1rem; max-width: 70rem; background: var(--paper); color: var(--ink);
	font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1.1rem; margin: 1.75rem 0 .5rem; }
header p { margin: 0; }
#about, .faint, time, dt { color: var(--faint); }
#health { font-weight: 600; }
.good { color: var(--good); } .bad { color: var(--bad); } .mild { color: var(--mild); }
ul, ol, dl { margin: 0; padding: 0; list-style: none; }
.cards { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
.cards li, #reload, #warnings li {
	background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem;
}
#warnings li { border-left: .25rem solid var(--mild); margin-bottom: .5rem; }
#reload { border-left: .25rem solid var(--bad); margin-top: 1rem; white-space: pre-line; }
#reload h2 { margin-top: 0; }
.cards p { margin: .25rem 0 0; }
.cards strong { display: block; }
#expiry li { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 1rem; margin-bottom: .5rem; }
#expiry progress { grid-column: 1 / -1; width: 100%; height: .5rem; accent-color: var(--bar); }
#routes dl { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: .25rem 1rem; }
#routes dd { margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:nth-child(2) { min-width: 14rem; }
@media (max-width: 40rem) {
	thead { position: absolute; clip-path: inset(50%); }
	tr { display: grid; grid-template-columns: auto auto auto 1fr; gap: 0 .75rem; padding: .5rem 0; border-bottom: 1px solid var(--line); }
	td { border: 0; padding: 0; min-width: 0; }
	td:nth-child(2), td:nth-child(3) { grid-column: 1 / -1; order: 1; }
}
`;

export const statusScript = `'use strict';
const $ = selector => document.querySelector(selector);
const make = (name, text, kind) => {
	const node = document.createElement(name);
	if (text !== undefined) node.textContent = text;
	if (kind) node.className = kind;
	return node;
};
const fill = (parent, children) => parent.replaceChildren(...children);
const clock = time => {
	const node = make('time', new Date(time).toLocaleTimeString([], {hour12: false}));
	node.dateTime = new Date(time).toISOString();
	return node;
};
const relative = new Intl.RelativeTimeFormat('en', {numeric: 'always'});
const distance = milliseconds => {
	const minutes = milliseconds / 60000;
	if (Math.abs(minutes) < 90) return relative.format(Math.round(minutes), 'minute');
	if (Math.abs(minutes) < 2880) return relative.format(Math.round(minutes / 60), 'hour');
	return relative.format(Math.round(minutes / 1440), 'day');
};
const cell = (...children) => {
	const node = document.createElement('td');
	node.append(...children);
	return node;
};
const ruleCard = (rule, now) => {
	const warned = (rule.warnings || []).length > 0;
	const card = make('li');
	const state = rule.available ? (warned ? 'usable, with a warning' : 'usable') : 'not usable';
	const until = rule.expiresAt === undefined ? '' : (rule.expiresAt < now ? ', expired ' : ', expires ') + distance(rule.expiresAt - now);
	card.append(
		make('strong', rule.match),
		make('span', state + until, rule.available ? (warned ? 'mild' : 'good') : 'bad'),
		make('p', rule.detail),
	);
	for (const warning of rule.warnings || []) card.append(make('p', warning, 'mild'));
	for (const note of rule.notes || []) card.append(make('p', note, 'faint'));
	card.append(make('p', rule.strategy + ', ' + rule.source, 'faint'));
	return card;
};
const expiryOf = (rule, now, furthest) => {
	const line = make('li');
	const bar = document.createElement('progress');
	bar.max = Math.max(1, furthest - now);
	bar.value = Math.max(0, rule.expiresAt - now);
	bar.setAttribute('aria-label', rule.match);
	line.append(
		make('span', rule.match),
		make('span', distance(rule.expiresAt - now), rule.expiresAt - now < 86400000 ? 'mild' : ''),
		bar,
	);
	return line;
};
const hopRow = hop => {
	const row = make('tr');
	const request = make('span', hop.method + ' ' + hop.url);
	const extra = hop.refusal === undefined ? [] : [make('div', hop.refusal, 'bad')];
	const kind = hop.status === undefined || hop.status >= 400 ? 'bad' : 'good';
	row.append(
		cell(clock(hop.time)), cell(request, ...extra), cell(hop.rule + ' (' + hop.strategy + ')'),
		cell(hop.legs + '×'), cell(make('span', hop.status === undefined ? 'failed' : String(hop.status), kind)),
		cell(hop.duration.toFixed(hop.duration < 10 ? 1 : 0) + ' ms'),
	);
	return row;
};
const show = status => {
	const {now} = status;
	const health = $('#health');
	health.textContent = status.health === 'ok' ? 'All is well' : 'Something needs attention';
	health.className = status.health === 'ok' ? 'good' : 'bad';
	$('#about').textContent = 'version ' + status.version + ', started ' + distance(status.started - now) + ', '
		+ status.requests + ' requests, ' + status.tunnels + ' open tunnels' + (status.forward ? ', forward proxy' : '');
	$('#reload').hidden = status.reloadFailure === undefined;
	$('#reload p').textContent = status.reloadFailure || '';
	$('#warnings').hidden = status.warnings.length === 0;
	fill($('#warnings ul'), status.warnings.map(warning => {
		const line = make('li');
		line.append(clock(warning.time), ' ' + warning.text);
		return line;
	}));
	fill($('#rules'), status.rules.map(rule => ruleCard(rule, now)));
	const expiring = status.rules.filter(rule => rule.expiresAt !== undefined).sort((a, b) => a.expiresAt - b.expiresAt);
	$('#expiry').hidden = expiring.length === 0;
	const furthest = Math.max(...expiring.map(rule => rule.expiresAt));
	fill($('#expiry ol'), expiring.map(rule => expiryOf(rule, now, furthest)));
	$('#routes').hidden = status.routes.length === 0;
	fill($('#routes dl'), status.routes.flatMap(route => [make('dt', route.prefix), make('dd', route.target)]));
	$('#none').hidden = status.hops.length > 0;
	$('#hops').hidden = status.hops.length === 0;
	fill($('#hops tbody'), status.hops.map(hopRow));
};
const look = async () => {
	try {
		const answer = await fetch('/-/status.json', {cache: 'no-store'});
		if (!answer.ok) throw new Error('the proxy answered ' + answer.status);
		show(await answer.json());
	} catch (error) {
		const health = $('#health');
		health.textContent = 'No answer: ' + error.message;
		health.className = 'bad';
	}
	setTimeout(look, 2000);
};
look();
`;
