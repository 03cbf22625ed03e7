#!/usr/bin/env bash
# Installs the real servers that the tests use, where it may: as root, on Debian and its kin. Elsewhere it says what is
# missing and goes on; the suites that need it are then skipped, and named at the end of the tests.
set -euo pipefail

# A program of each package: where all are there, nothing is to be done.
declare -A program_of=(
	[apache2-bin]=apache2
	[openssl]=openssl
)

# Debian leaves these two out of an ordinary user's PATH.
PATH="$PATH:/usr/local/sbin:/usr/sbin"

missing=()
for package in "${!program_of[@]}"; do
	command -v "${program_of[$package]}" >/dev/null || missing+=("$package")
done

if [ ${#missing[@]} -eq 0 ]; then
	echo "All real servers are installed."
	exit 0
fi

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "Not installed: ${missing[*]}. To bring them, as root: apt-get install ${missing[*]}"
	exit 0
fi

export DEBIAN_FRONTEND=noninteractive
install=(apt-get install -qq -o Dpkg::Use-Pty=0 --no-install-recommends "${missing[@]}")
# A fresh machine has no package lists, an old one outdated ones: fetch them only when the first try fails.
if ! "${install[@]}" 2>/dev/null; then
	apt-get update -qq
	"${install[@]}"
fi
