"""Cost of `run.log` with ten metrics, the spool on: the server up, away, black-holed, or absent.

    python benchmarks/log_cost.py [calls]

Prints a table of microseconds per call. "up" is an HTTP server in a process of its own that accepts
everything; "refused" a closed port; "hole" a socket that accepts and never answers. "paced" leaves
100 us between calls, as a fast training loop does; "tight" calls log() back to back. "nothing" is
the same loop around an empty function: what the machine itself adds, above all to the maximum.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection

import scaledash

METRICS = {f"layer{number}/norm": 0.1 * number for number in range(10)}
PAUSE_SECONDS = 100e-6


class Accepting(BaseHTTPRequestHandler):
    """Says yes to everything."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Read the body and answer."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.dumps({"id": "x", "project": "x", "last_seq": 1}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PATCH = do_POST

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


def serve(pipe: Connection) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Accepting)
    pipe.send(server.server_address[1])
    server.serve_forever()


@contextmanager
def server_up() -> Iterator[str]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    process.start()
    yield f"http://127.0.0.1:{ours.recv()}"
    process.terminate()
    process.join()


@contextmanager
def server_refusing() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@contextmanager
def server_black_holed() -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def no_server() -> Iterator[None]:
    yield None


def measure_nothing(calls: int, pause: float) -> list[int]:
    """Return nanoseconds of calls of an empty function, sorted."""
    return time_calls(lambda data, step: None, calls, pause)


def measure(url: str | None, calls: int, pause: float) -> list[int]:
    """Return nanoseconds of each call of `run.log`, sorted."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        settings = scaledash.Settings(
            base_url=url, api_key="sd_1_benchmark", silent=True, linger_seconds=0
        )
        mode = "offline" if url is None else "online"
        run = scaledash.init("benchmark", mode=mode, dir=folder, settings=settings)
        run.log(METRICS)
        time.sleep(1.0)  # let the sender start: its start is no part of a call
        costs = time_calls(run.log, calls, pause)
        run.finish(timeout=0.5)
    return costs


def time_calls(log: Callable[..., object], calls: int, pause: float) -> list[int]:
    costs = []
    clock = time.perf_counter_ns
    for step in range(calls):
        before = clock()
        log(METRICS, step=step)
        costs.append(clock() - before)
        until = before + pause * 1e9
        while clock() < until:
            pass
    return sorted(costs)


def print_costs(name: str, loop: str, costs: list[int]) -> None:
    picked = [costs[int(len(costs) * share)] for share in (0.5, 0.99, 0.999)]
    p50, p99, p999 = (cost / 1e3 for cost in picked)
    mean, high = sum(costs) / len(costs) / 1e3, costs[-1] / 1e3
    print(f"{name:10} {loop:6} {p50:7.2f} {mean:7.2f} {p99:7.2f} {p999:7.1f} {high:8.1f}")


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    print(f"{os.cpu_count()} CPUs, {calls:,} calls each, microseconds")
    print(f"{'server':10} {'loop':6} {'p50':>7} {'mean':>7} {'p99':>7} {'p99.9':>7} {'max':>8}")
    cases = {
        "up": server_up,
        "refused": server_refusing,
        "hole": server_black_holed,
        "offline": no_server,
    }
    for loop, pause in (("tight", 0.0), ("paced", PAUSE_SECONDS)):
        print_costs("nothing", loop, measure_nothing(calls, pause))
        for name, make in cases.items():
            with make() as url:
                print_costs(name, loop, measure(url, calls, pause))


if __name__ == "__main__":
    main()
