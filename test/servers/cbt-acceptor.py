#!/usr/bin/python3
"""A GSS-API acceptor over TLS that enforces channel bindings (tls-server-end-point, RFC 5929).

Arguments: certificate, key, hash function. KRB5_KTNAME and KRB5_CONFIG as ever. Prints its port once it listens.
/strict refuses a client that sends no bindings; / refuses one that sends wrong ones.
"""
import base64
import hashlib
import http.server
import ssl
import sys

import gssapi
import gssapi.raw

CHANNEL_BOUND = 2048
certificate, key, hash_name = sys.argv[1:4]
der = ssl.PEM_cert_to_DER_cert(open(certificate).read())
bindings = gssapi.raw.ChannelBindings(
    application_data=b"tls-server-end-point:" + hashlib.new(hash_name, der).digest()
)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        header = self.headers.get("Authorization", "")
        if not header.startswith("Negotiate "):
            return self.answer(401, "Negotiate", "no token")
        try:
            context = gssapi.SecurityContext(usage="accept", channel_bindings=bindings)
            token = context.step(base64.b64decode(header[10:]))
            if not context.complete:
                # The error is put off where there is an error token; this raises it.
                context.step(b"")
            bound = bool(int(context.actual_flags) & CHANNEL_BOUND)
            if self.path.startswith("/strict") and not bound:
                return self.answer(401, "Negotiate", "channel bindings are required")
            reply = "Negotiate " + base64.b64encode(token or b"").decode()
            self.answer(200, reply, f"{context.initiator_name} bound={bound}")
        except gssapi.exceptions.GSSError as error:
            self.answer(401, "Negotiate", str(error)[:200])

    def answer(self, status, challenge, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print("port", server.server_address[1], flush=True)
server.serve_forever()
