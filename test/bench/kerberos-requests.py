"""Python's requests-kerberos: as many requests as each line says, by as many threads, each with a session of its own.

Reads "requests threads preemptive close" from each line, and answers with a line of JSON. The sessions live on.
"""
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests
from requests_kerberos import REQUIRED, HTTPKerberosAuth

url = sys.argv[1]
pools = {}


def pool_of(threads, preemptive, close):
    local = threading.local()

    def get(_):
        if not hasattr(local, "session"):
            local.session = requests.Session()
            # No look at the environment for proxies at each request: the others do not do that either.
            local.session.trust_env = False
            local.session.auth = HTTPKerberosAuth(
                mutual_authentication=REQUIRED, force_preemptive=preemptive
            )
            if close:
                local.session.headers["Connection"] = "close"
        local.session.get(url).raise_for_status()

    return ThreadPoolExecutor(threads), get


print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    count, threads, preemptive, close = (int(word) for word in line.split())
    key = (threads, preemptive, close)
    if key not in pools:
        pools[key] = pool_of(threads, bool(preemptive), bool(close))
    pool, get = pools[key]
    processor, start = time.process_time(), time.perf_counter()
    for _ in pool.map(get, range(count)):
        pass
    seconds = time.perf_counter() - start
    cpu = (time.process_time() - processor) / count * 1e6
    print(json.dumps({"rate": count / seconds, "cpu": cpu}), flush=True)
