#!/usr/bin/env bash
# lighttpd 1.4.69 (Debian 1.4.69-1, mod_auth) can sign the nonces of Digest authentication with a secret, `nonce-secret`
# in `auth.require`, which its documentation recommends. In this version the server then takes none of its own nonces back:
# every client is answered 401 again and again, and the log says that the nonce does not match. Without the setting, the same
# password works. Who meets it looks for the mistake in the password or in the client (RFC 7616 section 3.3 leaves it to
# the server how it makes a nonce).
set -euo pipefail
export LC_ALL=C
version=1.4.69-1

folder=$(mktemp -d)
server=
finish() {
	if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
	rm -rf "$folder"
}
trap finish EXIT
cd "$folder"

apt-get -qq -o APT::Sandbox::User=root download "lighttpd=$version"
dpkg-deb --extract ./lighttpd_*.deb root
program="$folder/root/usr/sbin/lighttpd"
"$program" -v | head -1
curl --version | head -1 | cut -d' ' -f1-2

mkdir www && echo hello >www/index.html
printf 'alice:realm:%s\n' "$(printf 'alice:realm:secret' | md5sum | cut -d' ' -f1)" >users

# Starts the server with the setting given, asks it with the right password, and prints the status.
ask() {
	local port
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	cat >server.conf <<CONFIGURATION
server.bind = "127.0.0.1"
server.port = $port
server.document-root = "$folder/www"
server.errorlog = "$folder/log"
index-file.names = ("index.html")
server.modules = ("mod_auth", "mod_authn_file")
auth.backend = "htdigest"
auth.backend.htdigest.userfile = "$folder/users"
auth.require = ("/" => ("method" => "digest", "realm" => "realm", "require" => "valid-user"$1))
CONFIGURATION
	"$program" -D -f server.conf -m "$folder/root/usr/lib/lighttpd" >/dev/null 2>&1 &
	server=$!
	until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
		kill -0 "$server"
		sleep 0.1
	done
	curl -s -o answer -w '%{http_code}\n' --digest -u alice:secret "http://127.0.0.1:$port/"
	kill "$server"
	wait "$server" 2>/dev/null || true
	server=
}

plain=$(ask '')
signed=$(ask ', "nonce-secret" => "any secret"')
echo "with the right password: $plain without nonce-secret, $signed with it"
grep -o 'nonce.*mismatch\|nonce mismatch' log | head -1 || true

if [ "$plain" != 200 ] || [ "$signed" != 401 ]; then
	echo 'This has changed.'
	exit 1
fi
echo 'Still so.'
