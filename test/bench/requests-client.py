"""Python requests fetching a token for each call, as cernrequests does; with a session for each thread, which it has not.

Reads a number of requests from each line, makes them by as many threads as it was told, and answers with a line of JSON.
"""
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import requests
from turns import by_threads, take_turns

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
    take_turns(lambda: by_threads(pool, get_with_token))
