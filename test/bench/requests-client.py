"""Python requests fetching a token for each call, as cernrequests does; with a session for each thread, which it has not.

Reads a number of requests from each line, makes them by as many threads as it was told, and answers with a line of JSON.
"""
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests

token_endpoint, api, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
local = threading.local()


def get_with_token(_):
    if not hasattr(local, "session"):
        local.session = requests.Session()
        # No look at the environment for proxies at each request: the others do not do that either.
        local.session.trust_env = False
    form = {"grant_type": "client_credentials", "client_id": "bench", "client_secret": "bench-secret"}
    answer = local.session.post(token_endpoint, data=form)
    answer.raise_for_status()
    token = answer.json()["access_token"]
    response = local.session.get(api, headers={"Authorization": f"Bearer {token}"})
    response.raise_for_status()
    return response.json()


with ThreadPoolExecutor(threads) as pool:
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        count = int(line)
        processor, start = time.process_time(), time.perf_counter()
        for _ in pool.map(get_with_token, range(count)):
            pass
        seconds = time.perf_counter() - start
        cpu = (time.process_time() - processor) / count * 1e6
        print(json.dumps({"rate": count / seconds, "cpu": cpu}), flush=True)
