"""What cernrequests' get does: requests.get with a client certificate and a CA file, without a session.

Reads a number of requests from each line, makes them by as many threads as it was told, and answers with a line of JSON.
"""
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import requests

url, certificate, key, ca, threads = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])


def get(_):
    response = requests.get(url, cert=(certificate, key), verify=ca)
    response.raise_for_status()
    return response.text


with ThreadPoolExecutor(threads) as pool:
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        count = int(line)
        processor, start = time.process_time(), time.perf_counter()
        for _ in pool.map(get, range(count)):
            pass
        seconds = time.perf_counter() - start
        cpu = (time.process_time() - processor) / count * 1e6
        print(json.dumps({"rate": count / seconds, "cpu": cpu}), flush=True)
