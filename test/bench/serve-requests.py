"""Python requests, one after the other in one session: prints how many a second. "kerberos" authenticates by itself."""
import sys
import time

import requests

url, count, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
session = requests.Session()
if kind == "kerberos":
    from requests_kerberos import REQUIRED, HTTPKerberosAuth

    session.auth = HTTPKerberosAuth(mutual_authentication=REQUIRED)
for _ in range(20):
    session.get(url).raise_for_status()
begun = time.perf_counter()
for _ in range(count):
    session.get(url).raise_for_status()
print(count / (time.perf_counter() - begun))
