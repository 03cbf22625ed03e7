#!/usr/bin/env bash
# davix, version 0.8.4 (Debian 0.8.4-3) compares the names of headers to the letter where it works with libcurl
# (DAVIX_USE_LIBCURL=1; src/curl), though they mean the same in any case (RFC 9110 section 5.1), and all servers that
# speak HTTP/2, as libcurl asks for, send them in lower case, and many others do. A file whose length is in
# "content-length" is empty then: xrdcp 5.5.3 copies nothing of it and ends with 0. With its other backend (neon) it
# copies the file.
set -euo pipefail
export LC_ALL=C
davix=0.8.4-3
xrootd=5.5.3-1

folder=$(mktemp -d)
server=
finish() {
	if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
	rm -rf "$folder"
}
trap finish EXIT
cd "$folder"

apt-get -qq -o APT::Sandbox::User=root download "libdavix0v5=$davix" "xrootd-client=$xrootd" \
	"xrootd-client-http-plugins=$xrootd" "libxrdcl3=$xrootd" "libxrdutils3=$xrootd" "libxrdapputils2=$xrootd" \
	"libxrdxml3=$xrootd" libtinyxml2.6.2v5 libgsoap-2.8.124
for package in ./*.deb; do dpkg-deb --extract "$package" root; done
libraries=$(dirname "$(find root -name 'libdavix.so.0')")
export LD_LIBRARY_PATH="$folder/$libraries" XRD_PLUGINCONFDIR="$folder/plugins"
mkdir plugins
printf 'url = http://*\nlib = %s\nenable = true\n' "$folder/$libraries/libXrdClHttp.so" >plugins/http.conf
echo "xrdcp $(root/usr/bin/xrdcp --version 2>&1), davix $davix"

# A server that names the length as it is told to.
cat >server.py <<'PYTHON'
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(200)
        self.send_header(self.path[1:], "6")
        self.end_headers()
    def do_GET(self):
        self.do_HEAD()
        self.wfile.write(b"hello\n")
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
PYTHON
mkfifo port
python3 server.py >port &
server=$!
read -r port <port

copy() {
	rm -f got
	DAVIX_USE_LIBCURL=$1 root/usr/bin/xrdcp --allow-http --silent "http://127.0.0.1:$port/$2" got
	wc -c <got
}
neon=$(copy 0 content-length)
title=$(copy 1 Content-Length)
lower=$(copy 1 content-length)
echo "bytes of 6 that were copied: neon $neon; libcurl and Content-Length $title; libcurl and content-length $lower"

if [ "$neon $title $lower" != '6 6 0' ]; then
	echo 'This has changed.'
	exit 1
fi
echo 'Still so.'
