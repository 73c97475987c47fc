"""Asks a service for /livez until standard input is closed, then says how long each answer took, in milliseconds.

A process of its own: what many threads of a client take from each other must not count as the service's delay.
Usage: probe.py HOST PORT
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time

PAUSE_SECONDS = 0.02


def main() -> None:
    """Probes; a refusal or a lost line ends it with an error."""
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    line = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=60)
    line.connect()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    milliseconds = []
    while not ended.is_set():
        start = time.monotonic()
        line.request("GET", "/livez", headers={"Host": "localhost"})
        response = line.getresponse()
        response.read()
        milliseconds.append(1000 * (time.monotonic() - start))
        assert response.status == 200, response.status
        time.sleep(PAUSE_SECONDS)
    sys.stdout.write(json.dumps(milliseconds))


if __name__ == "__main__":
    main()
