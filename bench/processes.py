"""What a tree of processes costs: CPU time and memory, read from /proc.

CPU is the kernel's own account (user + system, in ticks of usually 10 ms) of every process of the tree and of those that
ended in it. Memory is PSS: a page that n processes share counts 1/n in each, so that the sum over a tree is what it
really takes.
"""

import os
import signal
import subprocess
import threading
import time

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.5


def _stat(pid):
    """Fields of /proc/PID/stat after the name, which may itself hold spaces and brackets; None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def _parents():
    """pid -> (parent, start time) of every process."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(entry)):
            found[int(entry)] = (int(fields[1]), int(fields[19]))
    return found


def _pss_kib(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1])
    except OSError:
        pass  # it ended between the listing and this
    return 0


def cpu_seconds_of(pids):
    """User + system time of living processes so far, with that of their children that ended and were waited for."""
    found = [fields for pid in pids if (fields := _stat(pid))]
    return sum(int(field) for fields in found for field in fields[11:15]) / TICKS_PER_SECOND


def pss_mb_of(pid):
    """Memory of one process, in MB."""
    return _pss_kib(pid) * 1024 / 1e6


class Tree:
    """A process, all that it starts, and what they take; sampled until `end`."""

    def __init__(self, argv, log, env=None):
        self._log = open(log, "wb")
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, env=env)
        self._known = {}  # pid -> start time, so that a reused pid is not taken for ours
        self._peak_kib = 0
        self._largest_kib = 0
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._sampler = threading.Thread(target=self._sample_until_done, daemon=True)
        self._sampler.start()

    def _members(self):
        """Living processes of the tree; one whose parent ended stays a member."""
        everything = _parents()
        with self._lock:
            self._known = {p: s for p, s in self._known.items() if p in everything and everything[p][1] == s}
            if self.process.pid in everything:
                self._known[self.process.pid] = everything[self.process.pid][1]
            grew = True
            while grew:
                young = {p: start for p, (parent, start) in everything.items()
                         if parent in self._known and p not in self._known}
                self._known |= young
                grew = bool(young)
            return list(self._known)

    def _sample_until_done(self):
        while not self._done.wait(SAMPLE_SECONDS):
            sizes = [_pss_kib(pid) for pid in self._members()]
            with self._lock:
                self._peak_kib = max(self._peak_kib, sum(sizes))
                self._largest_kib = max(self._largest_kib, *sizes, 0)

    def running(self):
        return self.process.poll() is None

    def cpu_seconds(self):
        """User + system time of the tree so far, with that of its processes that ended and were waited for."""
        return cpu_seconds_of(self._members())

    def take_peaks_mb(self):
        """Peak PSS in MB of the tree and of its largest process since the last call."""
        with self._lock:
            peaks = self._peak_kib * 1024 / 1e6, self._largest_kib * 1024 / 1e6
            self._peak_kib = self._largest_kib = 0
        return peaks

    def end(self, patience=25.0):
        """Asks the tree to end, and makes it when it does not."""
        members = self._members()
        if self.running():
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._done.set()
        self._sampler.join()
        left = set(members) & set(self._members())
        for pid in left - {self.process.pid}:
            os.kill(pid, signal.SIGKILL)
        self._log.close()


def wait_for(condition, what, seconds):
    """The first true value of `condition`, asked again and again; fails when it does not come."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.2)
    raise SystemExit(f"bench: waited {seconds:.0f} s in vain: {what}")
