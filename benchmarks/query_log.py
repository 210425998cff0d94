"""How fast a query log is read, and that its memory does not grow: MB/s and peak memory for logs of several sizes.

    python benchmarks/query_log.py [MEGABYTES …] [--structures N] [--json FILE]

Each size is a csvlog of PostgreSQL, made for it in a temporary folder: queries of N structures (some much more frequent
than others) with values of their own, beside as many that write. Each is read in a process of its own, over the
example's database.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COLUMNS = ("customer_id", "city", "channel", "order_date", "amount", "quantity", "price", "category", "name", "status")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("megabytes", nargs="*", type=int, default=[50, 200])
    parser.add_argument("--structures", type=int, default=5_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        print(json.dumps(read(given.read)))
        return
    results = []
    for size in given.megabytes:
        with tempfile.TemporaryDirectory() as folder:
            lines = write(Path(folder) / "log.csv", size, given.structures)
            (Path(folder) / "sqlora.toml").write_text('[[sources]]\nkind = "query-log"\npath = "log.csv"\n')
            run = subprocess.run(
                [sys.executable, __file__, "--read", folder], capture_output=True, text=True, check=True
            )
        found = {"megabytes": size, "lines": lines, "structures": given.structures, **json.loads(run.stdout)}
        results.append(found)
        speed, rate = size / found["processor_seconds"], lines / found["processor_seconds"]
        print(
            f"{size:>6} MB  {lines:>9,} lines  {found['seconds']:7.1f} s ({found['processor_seconds']:.1f} s of a "
            f"processor)  {speed:5.1f} MB/s  {rate:8,.0f} lines/s  peak {found['peak_mib']:.0f} MiB  "
            f"{found['candidates']:,} questions"
        )
    if given.json:
        machine = {
            "machine": platform.machine(),
            "processor": platform.processor(),
            "python": platform.python_version(),
        }
        given.json.write_text(json.dumps({"machine": machine, "results": results}, indent=2) + "\n")


def write(path: Path, megabytes: int, structures: int) -> int:
    """A log of that size; the number of its lines."""
    draw = random.Random(0)
    lines = 0
    with path.open("w", newline="") as out:
        writer = csv.writer(out)
        while out.tell() < megabytes * 1_000_000:
            for _ in range(1_000):
                # The square makes a tenth of the structures a third of the queries.
                number = int(draw.random() ** 2 * structures)
                one, other = COLUMNS[number % 10], COLUMNS[(number + 1 + number // 10) % 10]
                value, amount = draw.randrange(10**6), draw.randrange(1_000)
                if lines % 2:
                    sql = f"UPDATE t{number} SET {one} = '{value}' WHERE id = {amount}"
                else:
                    condition = f"{other} = '{value}' AND amount > {amount}"
                    sql = f"SELECT {one}, count(*) FROM t{number} WHERE {condition} GROUP BY 1"
                moment = f"2026-01-{1 + lines % 28:02} 10:00:00.123 UTC"
                writer.writerow(
                    [moment, "app", "shop", "17", "[local]", "a.b", lines, "SELECT", moment, "3/1", "0", "LOG", "00000",
                     f"duration: 1.5 ms  statement: {sql}", *[""] * 12]
                )  # fmt: skip
                lines += 1
    return lines


def read(folder: Path) -> dict[str, float]:
    """Seconds, peak memory of this process, and how many candidates there are.

    On a machine that does something else as well, ``processor_seconds`` is the figure to compare.
    """
    from sqlora.prepare.examples import Candidate
    from sqlora.prepare.sources.query_log import read_query_log
    from sqlora.project import load_project

    project = load_project(folder, environ={})
    started, worked = time.perf_counter(), time.process_time()
    candidates = sum(isinstance(found, Candidate) for found in read_query_log(project.sources[0], project, "log.csv"))
    seconds, processor = time.perf_counter() - started, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": round(seconds, 2),
        "processor_seconds": round(processor, 2),
        "peak_mib": round(peak, 1),
        "candidates": candidates,
    }


if __name__ == "__main__":
    main()
