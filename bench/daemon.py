"""`spacebridge serve` as it is started and asked by an operator's program."""

import http.client
import json
import os
import pathlib
import subprocess
import time

from processes import wait_for


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


class Daemon:
    """The daemon and, at its end, every show that it carries."""

    def __init__(self, binary, folder, log):
        self._log, self._path = open(log, "wb"), pathlib.Path(log)
        state = pathlib.Path(folder, "state")
        env = os.environ | {"SPACEBRIDGE_STATE": str(state), "HOME": str(folder)}
        command = [binary, "serve", "--end-shows", "--listen", "127.0.0.1:0", "--shows", str(folder / "shows"),
                   "--data", str(folder / "data")]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, env=env)
        said = wait_for(self._said, f"the daemon does not listen, see {log}", 20)
        self._host = said.split("//")[1].split(";")[0]
        self._token = (state / "serve" / "operate.token").read_text(encoding="utf-8").strip()
        self._connection = http.client.HTTPConnection(self._host, timeout=20)

    def _said(self):
        if self._process.poll() is not None:
            raise SystemExit(f"bench: the daemon ended, see {self._path}")
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            if "Listening at " in line:
                return line.split("Listening at ")[1]
        return None

    @property
    def pid(self):
        return self._process.pid

    def get(self, path):
        try:
            answer = self._ask(path)
        except http.client.RemoteDisconnected:  # a connection that rested for a minute is closed
            self._connection.close()
            answer = self._ask(path)
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"bench: {path} answered {answer.status}: {body[:300]!r}")
        return json.loads(body)

    def _ask(self, path):
        self._connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
        return self._connection.getresponse()

    def statuses(self):
        """show -> what its bridge says; none for one that has no bridge."""
        names = [show["name"] for show in self.get("/api/v1/shows")]
        return {name: self.get(f"/api/v1/shows/{name}")["status"] for name in names}

    def all_are(self, count, state):
        found = list(self.statuses().values())
        outputs = [output["state"] for status in found if status for output in status["outputs"]]
        on_air = all(status and status["state"] == state for status in found)
        return len(found) == count and on_air and outputs == ["live"] * 2 * count

    def bridges(self):
        """The process ids of all bridges."""
        return [status["bridge"]["pid"] for status in self.statuses().values()]

    def time_requests(self, count):
        """How long each of `count` requests took, one after the other, in ms."""
        took = []
        for _ in range(count):
            began = time.monotonic()
            self.get("/api/v1/shows")
            took.append((time.monotonic() - began) * 1000)
        return took

    def end(self):
        self._process.terminate()
        try:
            self._process.wait(120)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
