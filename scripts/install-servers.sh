#!/usr/bin/env bash
# Installs the real servers that the tests use, where it may: as root, on Debian and its kin. Elsewhere it says what is
# missing and goes on; the suites that need it are then skipped, and named at the end of the tests.
set -euo pipefail

# The same that the suites name where they are skipped: `install` in test/servers/*.ts. The last ones are for the bench.
packages=(
	apache2-bin openssl postgresql redis-server glewlwyd dbconfig-sqlite3
	krb5-kdc krb5-admin-server krb5-user libapache2-mod-auth-gssapi libgssapi3-heimdal python3-gssapi faketime libnss-wrapper curl heimdal-kcm kstart
	igtf-policy-classic p11-kit globus-proxy-utils voms-clients gridsite nginx-light lighttpd pebble certbot
	bind9 bind9-dnsutils python3-certbot-dns-rfc2136 python3-certbot-nginx python3-certbot-apache
	libnss3-tools gnutls-bin default-jre-headless oidc-agent-cli bsdutils
	xrootd-server xrootd-server-plugins xrootd-plugins
	radosgw ceph-mon ceph-osd awscli bindfs iproute2
	python3-requests python3-requests-kerberos
	wget git libwww-perl liblwp-protocol-https-perl r-base-core r-cran-curl default-jdk-headless davix chromium wrk
	gfal2-util-scripts python3-gfal2-util gfal2-plugin-http gfal2-plugin-file xrootd-client xrootd-client-http-plugins
)

is_installed() {
	[ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=()
for package in "${packages[@]}"; do
	is_installed "$package" || missing+=("$package")
done

# pebble of Debian's next release runs on this one: unpacked beside the installed one, from the mirror that apt has.
# Where there is none, its suites are skipped.
install_next_pebble() {
	[ -x /usr/local/bin/pebble-next ] && return
	[ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || return 0
	local folder mirror
	folder=$(mktemp -d)
	mirror=$({
		grep -hE '^deb ' /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -E 's/^deb (\[[^]]*\] )?//; s/ .*//'
		grep -hE '^URIs:' /etc/apt/sources.list.d/*.sources 2>/dev/null | awk '{print $2}'
	} | grep -v security | head -1)
	mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
	touch "$folder/status"
	# Signed by keys that this release has: whatever is not is left alone.
	echo "deb $mirror forky main" >"$folder/list"
	local own=(-qq -o Dir::State="$folder" -o Dir::State::status="$folder/status" -o Dir::Cache="$folder/cache"
		-o Dir::Etc::sourcelist="$folder/list" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root)
	if (cd "$folder" && apt-get "${own[@]}" update && apt-get "${own[@]}" download pebble && dpkg -x pebble_*.deb root) >/dev/null 2>&1; then
		install -m 755 "$folder/root/usr/bin/pebble" /usr/local/bin/pebble-next
	else
		echo "pebble of Debian's next release cannot be had from here; its suites are skipped."
	fi
	rm -rf "$folder"
}
install_next_pebble

if [ ${#missing[@]} -eq 0 ]; then
	echo "All real servers are installed."
	exit 0
fi

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "Not installed: ${missing[*]}. To bring them, as root: apt-get install ${missing[*]}"
	exit 0
fi

# The tests start processes of their own, so no service is to be started. Debian's scripts ask this program
# (/usr/share/doc/init-system-helpers/README.policy-rc.d.gz); one that is there already has its own say.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
install=(apt-get install -qq -o Dpkg::Use-Pty=0 --no-install-recommends "${missing[@]}")
# A fresh machine has no package lists, an old one outdated ones: fetch them only when the first try fails.
if ! "${install[@]}" 2>/dev/null; then
	apt-get update -qq
	"${install[@]}"
fi
