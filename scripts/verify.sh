#!/usr/bin/env bash
# `npm run verify`: everything that must hold, from a fresh clone to the last test. Needs npm and any Node that runs it;
# the right Node comes with `npm ci`. Ends at the first step that fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# `npm run --silent verify` hands its silence down; a step that fails has to say why.
unset npm_config_loglevel

step() {
	local title=$1 start=$SECONDS
	shift
	printf '\n== %s (%s)\n' "$title" "$*"
	if "$@"; then
		printf -- '-- %s: done in %d s\n' "$title" $((SECONDS - start))
	else
		local status=$?
		printf -- '-- %s: FAILED after %d s\n' "$title" $((SECONDS - start)) >&2
		exit "$status"
	fi
}

# The build writes schema.json again, from the compiled schema: what is committed must be that already.
build() {
	local committed
	committed=$(cat schema.json)
	npm run --silent build || return
	if [ "$committed" != "$(cat schema.json)" ]; then
		echo "schema.json was not what the source says; it has been written again. Commit it" >&2
		return 1
	fi
}

# The oldest Node that package.json allows, for the parts that need no server of somebody else's.
lowest_node() {
	local version folder status=0
	version=$(node -p "require('./package.json').engines.node.replace('>=', '') + '.0'")
	folder=$(mktemp -d)
	printf '{"dependencies": {"node": "%s"}, "allowScripts": {"node": true}}' "$version" >"$folder/package.json"
	npm install --silent --no-package-lock --prefix "$folder" || status=$?
	if [ "$status" = 0 ]; then
		"$folder/node_modules/node/bin/node" node_modules/vitest/vitest.mjs run \
			test/config test/host-rules test/hop test/conformance test/transports test/package.test.ts || status=$?
	fi
	rm -rf "$folder"
	return "$status"
}

step 'Real servers' bash scripts/install-servers.sh
step 'Dependencies' npm ci
step 'Lint and format' npm run --silent lint
step 'Types' npm run --silent types
step 'Build' build
step 'Import direction and API listing' npm run --silent check
# Links and anchors as they come out, and the index of the search.
step 'Documentation site' npm run --silent site
# A release is in use for months: what it trusts must not end meanwhile. docs/bundles.md says how to build them again.
step 'Bundles' npm exec --no -- node dist/src/cli/main.js bundle verify cern igtf --days 90
# Not `npm test`, which would build once more.
step 'Tests' npm exec --no -- vitest run
step 'Tests on the lowest Node' lowest_node
