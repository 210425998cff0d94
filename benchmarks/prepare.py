"""How quickly `sqlora prepare` makes a dataset of public pairs in a custom dialect, stage by stage, and in what memory.

    python benchmarks/prepare.py --data sql-create-context [--rows 10000 --rows 0] [--processes 2] [--out FILE.json]

The whole way is run once for each ``--rows`` (0: all of them) in a process of its own; memory is what that process
and its workers have together (proportional set size, looked at twice a second), so that what they share is
counted once. Then each stage is measured by itself, in one process, over a sample. CPU seconds count what other
programs on the machine cannot take away; wall time is what a person waits.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
SAMPLE = 3_000  # rows that each stage is measured on


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of {question, context, answer} files")
    parser.add_argument("--dialect", type=Path, default=ROOT / "examples/retail/dialect.toml")
    parser.add_argument("--rows", type=int, action="append", help="how many; 0: all. May be given several times")
    parser.add_argument("--processes", type=int, default=0, help="processes that check; 0: one a core")
    parser.add_argument("--no-stages", action="store_true", help="the whole way only")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.run:
        print(json.dumps(run(asked.run)))
        return
    result: dict[str, Any] = {"machine": machine(), "runs": []}
    for rows in asked.rows or [10_000, 0]:
        with tempfile.TemporaryDirectory() as folder:
            project = write_project(Path(folder), asked, rows)
            found = watched(project)
        result["runs"].append(found)
        print(describe(found), flush=True)
    if not asked.no_stages:
        with tempfile.TemporaryDirectory() as folder:
            result["stages"] = stages(write_project(Path(folder), asked, SAMPLE))
        for name, stage in result["stages"].items():
            print(f"{name:12}{stage['cpu_ms']:8.3f} ms CPU a row  {stage['rows_per_second']:>9,} rows/s")
    if asked.out:
        asked.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def write_project(folder: Path, asked: argparse.Namespace, rows: int) -> Path:
    """A project over the first ``rows`` of the data (0: all), in the given dialect."""
    (folder / "dialect.toml").write_text(asked.dialect.read_text(encoding="utf-8"), encoding="utf-8")
    files = sorted(path for path in asked.data.iterdir() if ".json" in path.name)
    if rows:
        lines = itertools.chain.from_iterable(map(read_lines, files))
        files = [folder / "rows.jsonl"]
        files[0].write_text("".join(itertools.islice(lines, rows)), encoding="utf-8")
    sources = "".join(f'[[sources]]\nkind = "sql-create-context"\npath = "{file.absolute()}"\n' for file in files)
    settings = f'[project]\nname = "benchmark"\ndialect = "dialect.toml"\n[prepare]\nprocesses = {asked.processes}\n'
    (folder / "sqlora.toml").write_text(settings + sources, encoding="utf-8")
    return folder


def read_lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        yield from lines


def watched(project: Path) -> dict[str, Any]:
    """Run the whole way over a project in a process of its own, looking at its memory."""
    command = [sys.executable, __file__, "--data", str(project), "--run", str(project)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = 0
    while process.poll() is None:
        peak = max(peak, memory_of(process.pid))
        time.sleep(0.5)
    assert process.stdout is not None
    output = process.stdout.read()
    if process.returncode:
        raise SystemExit(process.returncode)
    return {**json.loads(output.splitlines()[-1]), "peak_mib": round(peak / 2**20)}


def memory_of(pid: int) -> int:
    """Bytes of a process and all that it started."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for each in (parent, *parent.children(recursive=True)):
            try:
                total += getattr(each.memory_full_info(), "pss", 0) or each.memory_info().rss
            except psutil.Error:
                continue
    except psutil.Error:
        pass
    return total


def run(folder: Path) -> dict[str, Any]:
    """In the watched process: the whole way, with the seconds of each phase."""
    started = time.perf_counter()
    from sqlora.prepare import PrepareProgress, prepare
    from sqlora.project import load_project

    phases: dict[str, float] = {}

    def note(progress: PrepareProgress) -> None:
        phases.setdefault("writing" if progress.phase == "writing" else "checking", time.perf_counter())

    dataset = prepare(load_project(folder), note, again=True)
    seconds = time.perf_counter() - started
    usage = os.times()
    seen = sum(source["seen"] for source in dataset.card["sources"].values())
    return {
        "rows": seen,
        "kept": sum(dataset.card["splits"].values()),
        "rejected": dataset.card["rejected"],
        "splits": dataset.card["splits"],
        "id": dataset.id,
        "seconds": round(seconds, 1),
        "writing_seconds": round(time.perf_counter() - phases["writing"], 1),
        "cpu_seconds": {
            "this process": round(usage.user + usage.system, 1),
            "its workers": round(usage.children_user + usage.children_system, 1),
        },
        "rows_per_second": round(seen / seconds),
    }


def describe(found: dict[str, Any]) -> str:
    here, workers = found["cpu_seconds"].values()
    return (
        f"{found['rows']:,} rows, {found['kept']:,} kept, in {found['seconds']:.1f} s"
        f" ({found['rows_per_second']:,} rows/s; CPU {here:.1f} s here and {workers:.1f} s in workers),"
        f" peak {found['peak_mib']:,} MiB"
    )


def stages(folder: Path) -> dict[str, dict[str, float]]:
    """Each stage by itself, in this process, one after the other."""
    from sqlora.prepare.card import CardBuilder
    from sqlora.prepare.dedupe import Deduplicator, keys_of
    from sqlora.prepare.examples import Candidate, Example
    from sqlora.prepare.sources import read_source
    from sqlora.prepare.split import place
    from sqlora.prepare.spool import ExampleSpool
    from sqlora.prepare.workers import open_checker
    from sqlora.prepare.write import write_dataset
    from sqlora.project import load_project

    project = load_project(folder)
    found: dict[str, dict[str, float]] = {}

    def measured(name: str, rows: Iterable[Any], work: Callable[[Any], Any]) -> list[Any]:
        started = time.process_time()
        results = [work(row) for row in rows]
        seconds = max(time.process_time() - started, 1e-9)
        count = max(len(results), 1)
        found[name] = {
            "rows": count, "cpu_ms": round(1_000 * seconds / count, 4), "rows_per_second": round(count / seconds),
        }  # fmt: skip
        return results

    [source] = project.sources
    candidates = measured("read", read_source(source, project, "rows.jsonl"), lambda row: row)
    with open_checker(project) as checker, ExampleSpool(folder) as spool:
        good = [each for each in candidates if isinstance(each, Candidate)]
        checked = measured("check", good, checker.check)
        examples = [each for each in checked if isinstance(each, Example)]
        keys = measured("keys", examples, keys_of)
        duplicates = Deduplicator()
        measured("duplicates", zip(examples, keys, strict=True), lambda pair: duplicates.add(pair[0], "", pair[1]))
        measured("spool", examples, spool.add)
        measured("split", [examples] * 1, lambda all_: spool.place(place(all_, project.prepare).splits))
        found["split"] = per_row(found["split"], len(examples))
        card = CardBuilder(project, checker.dialect, None)
        measured("card", spool.placed(), card.keep)
        measured("write", [None], lambda _: write_dataset(project.state, spool.placed(), "", {}, "now"))
        found["write"] = per_row(found["write"], len(examples))
    return found


def per_row(stage: dict[str, float], rows: int) -> dict[str, float]:
    """A stage that was measured over all rows at once."""
    milliseconds = stage["cpu_ms"] / max(rows, 1)
    return {"rows": rows, "cpu_ms": round(milliseconds, 4), "rows_per_second": round(1_000 / milliseconds)}


def machine() -> dict[str, Any]:
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": psutil.virtual_memory().total // 2**20,
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "system": platform.platform(),
    }


if __name__ == "__main__":
    main()
