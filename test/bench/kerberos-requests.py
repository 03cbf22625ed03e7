"""Python's requests-kerberos: as many requests as each line says, by as many threads, each with a session of its own.

Reads "requests threads preemptive close" from each line, and answers with a line of JSON. The sessions live on.
"""
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import requests
from requests_kerberos import REQUIRED, HTTPKerberosAuth
from turns import by_threads, take_turns

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

    return by_threads(ThreadPoolExecutor(threads), get)


def prepare(*settings):
    if settings not in pools:
        threads, preemptive, close = settings
        pools[settings] = pool_of(threads, bool(preemptive), bool(close))
    return pools[settings]


take_turns(prepare)
