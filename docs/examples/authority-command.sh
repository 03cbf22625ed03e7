#!/bin/sh
# A certificate authority in a folder, run by openssl:
#   gatepass cert request --robot --authority-command './authority-command.sh ca' …
# The folder holds ca.pem, ca.key and ca.cnf. A person agrees to an order by making the file orders/NUMBER.ok.
set -eu
umask 077
cd "$1"
case $2 in
request) # the certificate request is on stdin; print what it is known by
	order=$(date +%s)-$$
	mkdir -p orders
	cat > "orders/$order.csr"
	openssl req -in "orders/$order.csr" -noout -verify 2> /dev/null
	echo "$order"
	;;
poll) # 0: issued; 75: not yet; anything else: refused
	if [ -e "orders/$GATEPASS_REFERENCE.no" ]; then
		cat "orders/$GATEPASS_REFERENCE.no" >&2
		exit 1
	fi
	[ -e "orders/$GATEPASS_REFERENCE.ok" ] || exit 75
	;;
collect) # print the certificate, and its chain where there is one
	order=orders/$GATEPASS_REFERENCE
	if [ ! -e "$order.pem" ]; then
		# What the file says stands in for the subject of the request.
		if [ -s "$order.ok" ]; then set -- -subj "$(cat "$order.ok")"; else set --; fi
		openssl ca -config ca.cnf -batch -notext -in "$order.csr" -out "$order.new" "$@" 2> log
		mv "$order.new" "$order.pem"
	fi
	cat "$order.pem"
	;;
revoke) # the certificate is on stdin
	cat > revoked.pem
	openssl ca -config ca.cnf -revoke revoked.pem -crl_reason "$GATEPASS_REASON" 2> log
	openssl ca -config ca.cnf -gencrl -out ca.crl 2> log
	;;
esac
