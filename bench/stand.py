"""What the contestants stand on: the live space and the two ingests, each in its own process, none of them measured."""

import json
import os
import pathlib
import selectors
import socket
import subprocess
import time
import urllib.request
import xml.etree.ElementTree

from processes import wait_for

RTMP_MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so"

# One worker. Nothing is recorded but in the application `keep`, of which the picture of the others is made, and in `check`
# when it is ordered.
NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
load_module {module};
{user}
events {{ worker_connections {connections}; }}
rtmp {{
    server {{
        listen 127.0.0.1:{rtmp};
        application live {{ live on; }}
        application keep {{ live on; record all; record_path {folder}; record_suffix .flv; }}
        application check {{
            live on;
            recorder order {{ record all manual; record_path {folder}; record_suffix .flv; }}
        }}
    }}
}}
http {{
    access_log off;
    client_body_temp_path {folder}/tmp; proxy_temp_path {folder}/tmp; fastcgi_temp_path {folder}/tmp;
    uwsgi_temp_path {folder}/tmp; scgi_temp_path {folder}/tmp;
    server {{
        listen 127.0.0.1:{http};
        location /stat {{ rtmp_stat all; }}
        location /control {{ rtmp_control all; }}
    }}
}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Ingest:
    """An nginx with the RTMP module on free ports of 127.0.0.1."""

    def __init__(self, folder, connections=64):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.rtmp, self.http = free_port(), free_port()
        conf = self.folder / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""  # else its workers could not write here
        conf.write_text(NGINX.format(folder=self.folder, module=RTMP_MODULE, user=user, rtmp=self.rtmp, http=self.http,
                                     connections=connections),
                        encoding="utf-8")
        self._process = subprocess.Popen(["nginx", "-p", self.folder, "-e", self.folder / "error.log", "-c", conf])
        wait_for(lambda: self._status() is not None, "nginx does not answer", 10)

    def _status(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/stat", timeout=2) as reply:
                return xml.etree.ElementTree.fromstring(reply.read(1 << 20))
        except OSError:
            return None

    def server(self, application="live"):
        return f"rtmp://127.0.0.1:{self.rtmp}/{application}"

    def bytes_in(self):
        """Bytes received from the one publisher; None while nobody publishes picture and sound."""
        status = self._status()
        for stream in status.iter("stream") if status is not None else ():
            both = stream.find("meta/video/codec") is not None and stream.find("meta/audio/codec") is not None
            if stream.find("publishing") is not None and both:
                return int(stream.findtext("bytes_in", "0"))
        return None

    def record(self, application, streams, seconds):
        """Records at least `seconds` of each stream. Returns stream -> (file, seconds between its two orders)."""
        def order(word, stream):
            query = f"app={application}&name={stream}&rec=order"
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/control/record/{word}?{query}", timeout=10) as reply:
                return pathlib.Path(reply.read(4096).decode())

        files, began = {}, {}
        for stream in streams:
            files[stream], began[stream] = order("start", stream), time.monotonic()
        time.sleep(seconds)
        found = {}
        for stream in streams:
            order("stop", stream)
            found[stream] = (files[stream], time.monotonic() - began[stream])
        return found

    def pids(self):
        """The master and its workers."""
        master = self._process.pid
        children = pathlib.Path(f"/proc/{master}/task/{master}/children").read_text(encoding="utf-8").split()
        return [master, *map(int, children)]

    def end(self):
        self._process.terminate()
        self._process.wait(10)


class Space:
    """The simulated live space: the same sound at the same pace for everyone."""

    def __init__(self, binary, options=()):
        # It ends when its standard input is closed.
        command = [binary, "rehearsal-space", *options]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(60):
                self.end()
                raise SystemExit("bench: the simulated space did not start within a minute")
        line = self._process.stdout.readline()
        if not line:
            self.end()
            raise SystemExit("bench: the simulated space ended at once")
        told = json.loads(line)
        self.url, self.playlist = told["space_url"], told["playlist_url"]
        self.api_base, self.guest_base = told["api_base"], told["guest_base"]

    @property
    def pid(self):
        return self._process.pid

    def end(self):
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
