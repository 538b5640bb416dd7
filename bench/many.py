#!/usr/bin/env python3
"""How many shows a machine carries: spacebridge serve with 4, 8, 12, 16, … shows of two outputs each, until it does not hold.

Everything runs on the one machine: the daemon, a bridge process for each show, the simulated space that all of them hear,
and the nginx-rtmp that takes all outputs. A step holds when every output is healthy at the ingest: 30 frames a second,
no step of a timestamp over 100 ms, one connection, nothing late, nothing dropped. See docs/performance.md.
"""

import argparse
import datetime
import json
import pathlib
import sys
import tempfile
import time

import contestants
import report
from daemon import Daemon, percentile
from flv import judge
from processes import cpu_seconds_of, pss_mb_of, wait_for
from stand import Ingest, Space

FPS = 30
MOST_STEP_MS = 100
SETTLE_SECONDS = 15
RECORD_SECONDS = 20
REQUESTS = 400


def write_shows(folder, count, space, ingest):
    """The operator's files: `count` shows of two outputs each. Returns the stream keys."""
    shows, keys = folder / "shows", []
    shows.mkdir()
    for number in range(count):
        text = contestants.config(space, folder, f"show{number}")
        for output in "ab":
            word = f"show{number}{output}"
            text += contestants.output(output, ingest.server("check"), folder / f"{word}.key", word)
            keys.append(word)
        (shows / f"show{number}.toml").write_text(text, encoding="utf-8")
    return keys


def faults_of(statuses, before):
    """What the bridges themselves say went wrong while it was measured."""
    found = []
    for name, status in statuses.items():
        if status["program"]["late_ms"] > before[name]["program"]["late_ms"]:
            found.append(f"{name}: sound came too late")
        for output in status["outputs"]:
            if output["connections"] != 1 or output["dropped_frames"]:
                found.append(f"{name}/{output['name']}: {output['connections']} connections, "
                             f"{output['dropped_frames']} frames dropped")
    return found


def take(daemon, parts, seconds):
    """CPU of each part over `seconds`, in cores; and the memory of every bridge at its end, in MB."""
    pids = {"bridges": daemon.bridges(), "daemon": [daemon.pid], "space": [parts["space"].pid],
            "nginx": parts["ingest"].pids()}
    before, began = {part: cpu_seconds_of(of) for part, of in pids.items()}, time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    cores = {part: (cpu_seconds_of(of) - before[part]) / took for part, of in pids.items()}
    return cores, sorted(pss_mb_of(pid) for pid in pids["bridges"])


def step(args, count, folder):
    """One number of shows, from nothing."""
    told = ["--scheduled-in", "7200", "--not-started"] if args.waiting else []
    parts = {"space": Space(args.binary, told)}
    daemon = None
    try:
        parts["ingest"] = Ingest(folder / "ingest", connections=8 * count + 64)
        keys = write_shows(folder, count, parts["space"], parts["ingest"])
        daemon = Daemon(args.binary, folder, args.results / f"serve-{count}.log")
        began = time.monotonic()
        state = "waiting" if args.waiting else "live"
        wait_for(lambda: daemon.all_are(count, state), f"{count} shows are not all {state}", 120 + 5 * count)
        all_live = time.monotonic() - began
        time.sleep(SETTLE_SECONDS)
        statuses = daemon.statuses()
        cores, memory = take(daemon, parts, args.seconds)
        answers = daemon.time_requests(REQUESTS)
        files = parts["ingest"].record("check", keys, RECORD_SECONDS)
        faults = faults_of(daemon.statuses(), statuses)
        faults += [f"{key}: {fault}" for key in keys for fault in judge(*files[key], FPS, MOST_STEP_MS)]
    finally:
        if daemon:
            daemon.end()
        for part in parts.values():
            part.end()
    return {"shows": count, "holds": not faults, "faults": faults[:20], "all_live_seconds": all_live, "cores": cores,
            "bridge_mb_median": memory[len(memory) // 2], "bridge_mb_max": memory[-1],
            "api_p50_ms": percentile(answers, 50), "api_p99_ms": percentile(answers, 99)}


def markdown(results):
    lines = ["| shows × outputs | holds | cores: bridges | daemon | space | nginx | PSS of a bridge, median (most), MB | "
             "API p50 / p99, ms | all on the air after, s |", "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for one in results["steps"]:
        cores = one["cores"]
        lines.append(f"| {one['shows']} × 2 | {'yes' if one['holds'] else 'no'} | {cores['bridges']:.2f} | "
                     f"{cores['daemon']:.2f} | {cores['space']:.2f} | {cores['nginx']:.2f} | "
                     f"{one['bridge_mb_median']:.0f} ({one['bridge_mb_max']:.0f}) | "
                     f"{one['api_p50_ms']:.1f} / {one['api_p99_ms']:.1f} | {one['all_live_seconds']:.0f} |")
    for one in results["steps"]:
        lines += [f"* {one['shows']} shows: {fault}" for fault in one["faults"]]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, help="release build of spacebridge")
    parser.add_argument("--results", type=pathlib.Path, required=True, help="folder for the table, the figures, the logs")
    parser.add_argument("--steps", default="4,8,12,16,20", help="numbers of shows, one step each")
    parser.add_argument("--seconds", type=int, default=60, help="of each step that are measured")
    parser.add_argument("--waiting", action="store_true", help="all shows wait, with a countdown on the slate")
    args = parser.parse_args()
    args.binary = str(pathlib.Path(args.binary).resolve())
    args.results.mkdir(parents=True, exist_ok=True)
    steps = []
    for count in map(int, args.steps.split(",")):
        try:
            with tempfile.TemporaryDirectory(prefix="spacebridge-many-") as folder:
                steps.append(step(args, count, pathlib.Path(folder)))
        except (OSError, SystemExit) as gave_out:  # a machine that gives out is a result too
            print(f"{count} shows: {gave_out}", flush=True)
            break
        print(json.dumps(steps[-1]), flush=True)
        if not steps[-1]["holds"]:
            break
    results = {"when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
               "waiting": args.waiting, "seconds": args.seconds, "machine": report.machine(), "steps": steps}
    name = "many-waiting" if args.waiting else "many"
    (args.results / f"{name}.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    (args.results / f"{name}.md").write_text(markdown(results), encoding="utf-8")
    print(f"\n{markdown(results)}\nSaved as {args.results / name}.md and .json.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
