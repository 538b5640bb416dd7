#!/usr/bin/env python3
"""Tries every operation of the daemon's OpenAPI document against a running daemon, with schemathesis (from PyPI).

A daemon with folders of its own carries one show with a test sound and an output where nobody listens; its token for
operators and its token for lookers are tried one after the other. Streams that never end are left out. Exit code 0 only if
nothing was found.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

SHOW = """[show]
name = "night"
timezone = "UTC"
closing = "1s"
[[source]]
kind = "tone"
[[output]]
name = "dead"
url = "rtmp://127.0.0.1:9/live"
key_file = "dead.key"
[recording]
folder = "../recordings"
min_free = "0 MB"
"""

# An alert makes the webhooks' operations reach something.
CONFIG = """[[alert]]
name = "pager"
level = "error"
command = ["/bin/true"]
"""

ENDLESS = ("text/event-stream", "audio/")
SCHEMATHESIS = "schemathesis==4.*"


def tool(folder: pathlib.Path) -> pathlib.Path:
    """The tool in an environment of its own below `folder`."""
    program = folder / "bin" / "schemathesis"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", SCHEMATHESIS], check=True)
    return program


class Daemon:
    """A daemon with folders of its own, ended by its own process id."""

    def __init__(self, binary: pathlib.Path, folder: pathlib.Path):
        self.folder = folder
        (folder / "shows").mkdir()
        (folder / "shows" / "night.toml").write_text(SHOW)
        (folder / "serve.toml").write_text(CONFIG)
        key = folder / "shows" / "dead.key"
        key.touch(0o600)
        key.write_text("canary-key")
        self.log = folder / "serve.log"
        environment = {**os.environ, "SPACEBRIDGE_STATE": str(folder / "state"), "HOME": str(folder)}
        command = [binary, "serve", "--config", folder / "serve.toml", "--shows", folder / "shows"]
        command += ["--data", folder / "data", "--listen", "127.0.0.1:0", "--end-shows"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.url = self.wait_for_address()

    def wait_for_address(self) -> str:
        for _ in range(200):
            found = re.search(r"Listening at ([^;]+);", self.log.read_text())
            if found:
                return found.group(1)
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise SystemExit(f"the daemon does not listen: {self.log.read_text()}")

    def token(self, role: str) -> str:
        return (self.folder / "state" / "serve" / f"{role}.token").read_text().strip()

    def document(self) -> dict:
        with urllib.request.urlopen(f"{self.url}/api/v1/openapi.json", timeout=10) as answer:
            return json.load(answer)

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def named(document: dict) -> dict:
    """The document with names of what there is, and of what is not: made-up ones would find nothing but 404."""
    names = {"show": "night", "output": "dead", "webhook": "pager"}
    for item in document["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path" and parameter["name"] in names:
                    parameter["schema"] = {"type": "string", "enum": [names[parameter["name"]], "nobody"]}
    return document


def left_out(document: dict) -> tuple[list[str], list[str]]:
    """Ids of operations that cannot be tried, and of those that are tried last: they take the show off the air."""
    never, last = [], []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            content = operation.get("responses", {}).get("200", {}).get("content", {})
            # Streams never end; wrong tokens in a body are counted, and ten of them lock the tester out.
            if any(kind.startswith(ENDLESS) for kind in content) or (method == "post" and path.endswith("/session")):
                never.append(operation["operationId"])
            elif path.endswith(("/end", "/suspend")):
                last.append(operation["operationId"])
    return never, last


def check(program: pathlib.Path, daemon: Daemon, schema: pathlib.Path, role: str, selected: list[str], more: list[str]) -> int:
    print(f"=== as {role}", flush=True)
    # ignored_auth locks the tester out, as it should, and is judged by the tests of the door. What fits the schema may well
    # be no link, no time zone, no show.
    excluded = ["ignored_auth", "positive_data_acceptance"]
    if role == "view":
        # Refused before anybody looks at the data.
        excluded += ["negative_data_rejection", "missing_required_header"]
    command = [program, "run", schema, "--url", daemon.url, "--header", f"Authorization: Bearer {daemon.token(role)}"]
    command += ["--request-timeout", "30", "--no-color", "--checks", "all", "--exclude-checks", ",".join(excluded)]
    command += ["--suppress-health-check", "all", "--phases", "examples,coverage,fuzzing", "--continue-on-failure"]
    return subprocess.run(command + selected + more).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for the tool")
    parser.add_argument("--examples", type=int, default=20, help="requests made up for each operation")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    program = tool(arguments.work)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(arguments.binary.resolve(), pathlib.Path(folder))
        try:
            schema = pathlib.Path(folder) / "openapi.json"
            document = named(daemon.document())
            schema.write_text(json.dumps(document))
            never, last = left_out(document)
            without = [word for one in never + last for word in ("--exclude-operation-id", one)]
            only = [word for one in last for word in ("--include-operation-id", one)]
            more = ["--max-examples", str(arguments.examples), "--seed", str(arguments.seed)]
            for role in ["view", "operate"]:
                for selected in [without, only]:
                    failed |= check(program, daemon, schema, role, selected, more)
            if daemon.process.poll() is not None:
                print(f"The daemon died: {daemon.log.read_text()[-2000:]}")
                failed = 1
            if "panicked" in daemon.log.read_text():
                print(f"The daemon panicked: {daemon.log.read_text()[-4000:]}")
                failed = 1
        finally:
            daemon.end()
    return failed


if __name__ == "__main__":
    sys.exit(main())
