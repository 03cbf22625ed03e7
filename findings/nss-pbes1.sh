#!/usr/bin/env bash
# NSS 3.87.1 (pk12util, Debian 2:3.87.1-1+deb12u2; lib/softoken/lowpbe.c) writes PBES1 into PKCS#12 files in a way of its
# own: it takes the passphrase as a BMPString, and with SHA-1 the last eight bytes of the hash for the first block, where
# RFC 8018 sections 5.1 and 6.1 have the octets of the passphrase and bytes 8 to 15. OpenSSL says "bad decrypt" to such a file.
set -euo pipefail
export LC_ALL=C
version=2:3.87.1-1+deb12u2

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# The libraries that pk12util loads at run time are looked for beside those that it is linked with.
apt-get -qq -o APT::Sandbox::User=root download "libnss3=$version" "libnss3-tools=$version" libnspr4=2:4.35-1
for package in ./*.deb; do dpkg-deb --extract "$package" root; done
libraries=$(dirname "$(find root -name libnss3.so)")
export LD_LIBRARY_PATH="$folder/$libraries:$folder/$libraries/nss"
nss() { "$folder/root/usr/bin/$1" "${@:2}"; }
echo "pk12util of libnss3-tools $version, $(openssl version)"

openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=alice 2>/dev/null
openssl pkcs12 -export -in cert.pem -inkey key.pem -name alice -passout pass:secret -out in.p12
mkdir db
nss certutil -N -d sql:db --empty-password
nss pk12util -i in.p12 -d sql:db -W secret >/dev/null
nss pk12util -o out.p12 -n alice -d sql:db -W secret -c 'DES-CBC' -C 'DES-CBC' >/dev/null

# What is inside, and what OpenSSL makes of it.
openssl pkcs12 -legacy -in out.p12 -passin pass:secret -info -noout >told 2>&1 && opened=yes || opened=no
scheme=$(sed -n 's/^Shrouded Keybag: \([^,]*\),.*/\1/p' told)
complaint=$(sed -n 's/.*:\(bad decrypt\):.*/\1/p' told | head -1)
echo "scheme: $scheme; opens with OpenSSL: $opened${complaint:+ ($complaint)}"

# The encrypted key: salt and rounds stand before it. Derive the key in both ways, and let OpenSSL decrypt with it.
decrypt() {
	python3 - "$1" <<'PYTHON'
import hashlib, re, subprocess, sys

def element(data, at):
    length, head = data[at + 1], 2
    if length & 0x80:
        head += length & 0x7F
        length = int.from_bytes(data[at + 2 : at + head], "big")
    return data[at + head : at + head + length], at + head + length

data = open("out.p12", "rb").read()
# pbeWithSHA1AndDES-CBC, 1.2.840.113549.1.5.10; its last place is the key's or the certificate's: both are alike.
at = data.index(bytes.fromhex("06092a864886f70d01050a")) + 11
parameters, after = element(data, at)
salt, next_ = element(parameters, 0)
rounds, _ = element(parameters, next_)
encrypted, _ = element(data, after)
secret = {"standard": b"secret", "nss": "secret\0".encode("utf-16-be")}[sys.argv[1]]
derived = secret + salt
for _ in range(int.from_bytes(rounds, "big")):
    derived = hashlib.sha1(derived).digest()
iv = {"standard": derived[8:16], "nss": derived[-8:]}[sys.argv[1]]
command = ["openssl", "enc", "-d", "-des-cbc", "-provider", "legacy", "-provider", "default"]
command += ["-K", derived[:8].hex(), "-iv", iv.hex()]
result = subprocess.run(command, input=encrypted, capture_output=True)
print("yes" if result.returncode == 0 and result.stdout[:1] == b"\x30" else "no")
PYTHON
}
standard=$(decrypt standard)
own=$(decrypt nss)
echo "decrypts as RFC 8018 says: $standard; with a BMPString and the last eight bytes: $own"

[ "$scheme $opened $standard $own" = 'pbeWithSHA1AndDES-CBC no no yes' ] || {
	echo 'This has changed: see the head of this script.' >&2
	exit 1
}
