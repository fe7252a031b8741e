"""`python -m benchmarks [parts]`: measure, and print a table.

The parts are those of PARTS below; without arguments all of it but `peers`, which are other
trackers on one workload; PEERS=1 adds them. The server has SCALEDASH_WEB_PROCESSES web processes,
and its files lie under BENCH_DIR (default: the folder for temporary files). Times are printed,
never asserted: they belong to the machine.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from benchmarks import diagnoses, ingest, pages, plots, reads, refits
from benchmarks.stage import Stage, open_stage
from benchmarks.table import Row, print_rows

SERVED = ("disk", "ingest", "reads", "pages", "plots", "diagnoses", "refits")
PARTS = (*SERVED, "log", "fits", "peers")


def main(arguments: list[str]) -> int:
    """Measure what is asked for."""
    unknown = set(arguments) - set(PARTS)
    if unknown:
        print(f"{sorted(unknown)[0]!r} is no part; they are {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    has_peers = os.environ.get("PEERS", "0") not in ("", "0")
    wanted = arguments or [part for part in PARTS if part != "peers" or has_peers]
    print(describe_machine())
    rows = list(measure_log()) if "log" in wanted else []
    if set(wanted) & set(SERVED):
        with open_stage() as stage:
            rows += measure_server(stage, wanted)
    if rows:
        print()
        print_rows(rows)
    if "peers" in wanted:
        print(flush=True)
        measure_peers(is_alone=wanted == ["peers"])
    if "fits" in wanted:
        from benchmarks import fits

        print()
        fits.main()
    return 0


def measure_peers(is_alone: bool) -> None:
    """Measure other trackers beside a server of its own, for which a process is good but once."""
    if not is_alone:
        subprocess.run([sys.executable, "-m", "benchmarks", "peers"], check=True)
        return
    from benchmarks import peers

    with open_stage() as stage:
        peers.measure(stage)


def measure_server(stage: Stage, wanted: list[str]) -> Iterator[Row]:
    """Yield the rows of the parts that need a server, saying each as it comes."""
    # Disk first: what is compacted and packed besides would be counted as well.
    parts = {"disk": ingest.measure_disk, "ingest": ingest.measure, "reads": reads.measure}
    parts |= {"pages": pages.measure, "plots": plots.measure}
    parts |= {"diagnoses": diagnoses.measure, "refits": refits.measure}
    for name, measure in parts.items():
        for row in measure(stage) if name in wanted else ():
            print(f"  {row.what}: {row.value:,.4g} {row.unit}", file=sys.stderr, flush=True)
            yield row
    yield reads.measure_memory(stage)


def measure_log() -> Iterator[Row]:
    """Yield what `run.log` of ten metrics costs, the spool on, and its share of a loop."""
    from benchmarks import log_cost, log_peers

    costs = log_cost.measure(None, 20_000, log_cost.PAUSE_SECONDS)
    what = "run.log() of 10 metrics, spool on"
    yield Row(f"{what}, p50", costs[len(costs) // 2] / 1e3, "us", 3)
    yield Row(f"{what}, mean", sum(costs) / len(costs) / 1e3, "us", 5)
    yield Row(f"{what}, p99", costs[int(len(costs) * 0.99)] / 1e3, "us", 30)
    scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with scratch as folder, contextlib.chdir(folder):
        log, end = log_peers.start_scaledash()
        cost = log_peers.measure_loop(log, 1_000)
        end()
    loop = "logging 10 metrics at every step of 10 ms: share of the loop"
    yield Row(f"{loop}, wall", 100 * cost.wall, "%", 0.5)
    yield Row(f"{loop}, CPU with all threads", 100 * cost.cpu, "%", 0.5)


def describe_machine() -> str:
    """Return date, processors, memory and versions."""
    with open("/proc/meminfo") as info:
        kilobytes = int(info.readline().split()[1])
    today = datetime.date.today().isoformat()
    return (
        f"{today}, {os.cpu_count()} CPUs, {kilobytes / 2**20:.0f} GiB, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
