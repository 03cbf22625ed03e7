#!/usr/bin/env bash
# davix, version 0.8.4 (Debian 0.8.4-3): where its tools work with libcurl (DAVIX_USE_LIBCURL=1), which they need to use an HTTP
# proxy, they want a client certificate before they send anything, over http:// as well: the callback of the tools is
# called for each request and fails without one ("Failed to load certificate"). With neon, the default, it is called
# only when a server asks for a certificate. Any certificate will do (--cert, or -P grid with X509_USER_CERT).
set -euo pipefail
export LC_ALL=C
davix=0.8.4-3

folder=$(mktemp -d)
server=
finish() {
	if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
	rm -rf "$folder"
}
trap finish EXIT
cd "$folder"

apt-get -qq -o APT::Sandbox::User=root download "davix=$davix" "libdavix0v5=$davix" libgsoap-2.8.124
for package in ./*.deb; do dpkg-deb --extract "$package" root; done
export LD_LIBRARY_PATH="$folder/$(dirname "$(find root -name 'libdavix.so.0')")"
echo "davix-get of davix $davix"

mkdir www && echo hello >www/file && : >log
python3 -u -m http.server --bind 127.0.0.1 --directory www 0 >log 2>&1 &
server=$!
until port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' log) && [ -n "$port" ]; do sleep 0.1; done
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=any 2>/dev/null

get() { DAVIX_USE_LIBCURL=$1 root/usr/bin/davix-get --retry 0 "${@:2}" "http://127.0.0.1:$port/file" 2>&1 || true; }
neon=$(get 0)
bare=$(get 1)
any=$(get 1 --cert cert.pem --key key.pem)
echo "neon: $neon; libcurl: $bare; libcurl with any certificate: $any"

if [ "$neon" != hello ] || [ "$any" != hello ] || [[ "$bare" != *'Failed to load certificate'* ]]; then
	echo 'This has changed.'
	exit 1
fi
echo 'Still so.'
