"""Answers each line of standard input, which begins with a number, with a line of JSON: how fast so many were made."""
import json
import sys
import time


def take_turns(prepare):
    """`prepare` is given the other numbers of a line; what it returns makes as many as it is told."""
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        count, *settings = (int(word) for word in line.split())
        make = prepare(*settings)
        processor, start = time.process_time(), time.perf_counter()
        make(count)
        seconds = time.perf_counter() - start
        cpu = (time.process_time() - processor) / count * 1e6
        print(json.dumps({"rate": count / seconds, "cpu": cpu}), flush=True)


def by_threads(pool, work):
    """Has the threads of `pool` do `work` as often as it is told."""

    def make(count):
        for _ in pool.map(work, range(count)):
            pass

    return make
