"""What cernrequests' get does: requests.get with a client certificate and a CA file, without a session.

Reads a number of requests from each line, makes them by as many threads as it was told, and answers with a line of JSON.
"""
import sys
from concurrent.futures import ThreadPoolExecutor

import requests
from turns import by_threads, take_turns

url, certificate, key, ca, threads = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])


def get(_):
    response = requests.get(url, cert=(certificate, key), verify=ca)
    response.raise_for_status()
    return response.text


with ThreadPoolExecutor(threads) as pool:
    take_turns(lambda: by_threads(pool, get))
