/** The lists of pages at the side: written here for the guides, read from the files for what is many. */
import {globSync, readFileSync} from 'node:fs';
import {basename, join} from 'node:path';
import type {DefaultTheme} from 'vitepress';

type Item = DefaultTheme.SidebarItem;

const guides: Item[] = [
	{
		text: 'Beginning',
		items: [
			page('First steps', '/first-steps'),
			page('Which strategy', '/which-strategy'),
			page('Host rules', '/host-rules'),
			page('Embedding', '/embedding'),
			page('HTTP clients', '/clients'),
			page('axios and others', '/clients#any-other-client'),
			page('Fastify and NestJS', '/integrations'),
			page('OpenTelemetry', '/observability#opentelemetry'),
			page('Bundlers, pnpm and Jest', '/bundling'),
		],
	},
	{
		text: 'Credentials',
		items: [
			page('Certificates', '/certificates'),
			page('Certificates that renew themselves', '/renewal'),
			page('Robots', '/robots'),
			page('Kerberos', '/kerberos'),
			page('The token cache', '/token-cache'),
			page('Strategies of your own', '/custom-strategies'),
		],
	},
	{
		text: 'Servers',
		items: [page('Trust', '/trust'), page('Bundles', '/bundles'), page('For users of cernrequests', '/cern')],
	},
	{
		text: 'Running it',
		items: [
			page('The local proxy', '/serve'),
			page('When a request fails', '/diagnose'),
			page('Faults that are tested', '/faults'),
			page('Observability', '/observability'),
			page('Performance', '/performance'),
			page('Security and threat model', '/security'),
		],
	},
];

const recipes: Item[] = [
	{
		text: 'Recipes',
		link: '/recipes/',
		items: [
			page('CERN', '/recipes/cern'),
			page('WLCG storage', '/recipes/wlcg-storage'),
			page('Active Directory', '/recipes/active-directory'),
			page('Keycloak', '/recipes/keycloak'),
			page('Kubernetes', '/recipes/kubernetes'),
			page('GitHub Actions', '/recipes/github-actions'),
			page('A private CA', '/recipes/private-ca'),
		],
	},
];

const reference: Item[] = [
	{
		text: 'Reference',
		items: [
			page('Configuration', '/configuration'),
			page('Command line', '/cli'),
			page('Errors', '/errors'),
			page('API', '/reference/api'),
		],
	},
	{text: 'The project', items: [page('Changes', '/changelog'), page('Contributing', '/contributing')]},
];

export function sidebar(root: string): DefaultTheme.Sidebar {
	return {
		'/diagnostics/': diagnostics(root),
		'/decisions/': [{text: 'Decisions', link: '/decisions/', items: decisions(root)}],
		'/': [...guides.slice(0, 1), ...recipes, ...guides.slice(1), ...reference],
	};
}

/** By the headings of their index; closed, but for the one that is read. */
function diagnostics(root: string): Item[] {
	const [, ...parts] = readFileSync(join(root, 'docs/diagnostics/README.md'), 'utf8').split(/^## /m);
	return [
		page('All codes', '/diagnostics/'),
		...parts.map(part => ({
			text: part.slice(0, part.indexOf('\n')),
			collapsed: true,
			items: [...part.matchAll(/^- \[`([^`]+)`\]/gm)].map(([, code = '']) =>
				page(code, `/diagnostics/${code}`),
			),
		})),
	];
}

function decisions(root: string): Item[] {
	return globSync('docs/decisions/[0-9]*.md', {cwd: root})
		.sort()
		.map(file => {
			const title = /^# (.*)$/m.exec(readFileSync(join(root, file), 'utf8'))?.[1] ?? file;
			return page(title, `/decisions/${basename(file, '.md')}`);
		});
}

function page(text: string, link: string): Item {
	return {text, link};
}
