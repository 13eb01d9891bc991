"""mongod, Zaqar and nusku as child processes on 127.0.0.1.

Each is a context manager, and none outlives this program: on Linux the kernel
kills a child whose parent is gone, however it went.
"""

import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import pymongo
from api import Client

START_SECONDS = 60
STOP_SECONDS = 20
ZAQAR_WORKERS = 2
ZAQAR_THREADS = 8

# From ~/.zaqar, which is where Zaqar looks when a WSGI server runs it. It
# refuses a replica set in the URI with a current pymongo, and a single node
# unless it is called unreliable; durable it is all the same, by the URI.
ZAQAR_SETTINGS = """\
[DEFAULT]
unreliable = true
auth_strategy =
[profiler]
enabled = false
[transport]
message_encryption_key = blue-lantern
[drivers]
message_store = {driver}
management_store = mongodb
[drivers:message_store:mongodb]
uri = {uri}
database = {database}
[drivers:management_store:mongodb]
uri = {uri}
database = {database}
"""

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def place(variable):
    """A path that tools/provision told in the environment."""
    if variable not in os.environ:
        raise SystemExit(f"{variable} is not set; tools/provision prints it")
    return pathlib.Path(os.environ[variable])


class Process:
    """A child whose output goes to a file; ended with SIGTERM."""

    def __init__(self, name, scratch):
        self.name = name
        self.log = scratch / f"{name}.log"

    def spawn(self, command, **environment):
        """With settings of its own only: ours mean nothing to it."""
        inherited = {name: it for name, it in os.environ.items() if not name.startswith("NUSKU_")}
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                [str(word) for word in command],
                env={**inherited, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )

    def until(self, ready, what):
        """What `ready` returns, once that is true."""
        deadline = time.monotonic() + START_SECONDS
        while not (outcome := ready()):
            alive = self.child.poll() is None
            assert alive and time.monotonic() < deadline, f"{what}; see {self.log}"
            time.sleep(0.02)
        return outcome

    def said(self, pattern):
        return re.search(pattern, self.log.read_text(errors="replace"))

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Mongod(Process):
    """A replica set of one node."""

    def __init__(self, scratch):
        super().__init__("mongod", scratch)
        self.address = f"127.0.0.1:{free_port()}"
        self.client = pymongo.MongoClient(self.address, directConnection=True)
        self.data = scratch / "mongod"
        self.data.mkdir()
        self.spawn([
            place("NUSKU_TEST_MONGOD"), "--bind_ip", "127.0.0.1",
            "--port", self.address.split(":")[1], "--dbpath", self.data, "--replSet", "interop",
            "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket", "--quiet",
            "--setParameter", "diagnosticDataCollectionEnabled=false",
            # What expires is still looked at by the scenarios.
            "--setParameter", "ttlMonitorEnabled=false",
        ])
        try:
            member = {"_id": 0, "host": self.address}
            self.client.admin.command("replSetInitiate", {"_id": "interop", "members": [member]})
            self.until(self.is_primary, "mongod does not become primary")
        except BaseException:
            self.stop()
            raise

    def is_primary(self):
        return self.client.admin.command("hello")["isWritablePrimary"]

    def stop(self):
        self.client.close()
        # Its data are thrown away: no need to end well.
        self.child.kill()
        self.child.wait()
        shutil.rmtree(self.data)


class Server(Process):
    """A queuing server with a URL; `kind` is who wrote it."""

    def client(self, project, client="3381af92-2b9e-11e3-b191-71861300734c"):
        return Client(self.kind, self.url, project, client)

    def answers(self):
        with contextlib.suppress(OSError), contextlib.closing(self.client("interop")) as client:
            return client.call("GET", "/v2/ping").status == 204


class Zaqar(Server):
    """The real one, served by gunicorn."""

    kind = "zaqar"

    def __init__(self, name, scratch, mongod, driver, database, more_settings=""):
        super().__init__(name, scratch)
        uri = f"mongodb://{mongod.address}/?w=majority&journal=true"
        home = scratch / f"{name}-home"
        (home / ".zaqar").mkdir(parents=True)
        settings = ZAQAR_SETTINGS.format(driver=driver, uri=uri, database=database)
        (home / ".zaqar/zaqar.conf").write_text(settings + more_settings)
        self.spawn(
            [
                place("NUSKU_TEST_ZAQAR") / "bin/gunicorn", "--bind", "127.0.0.1:0",
                "--workers", ZAQAR_WORKERS, "--worker-class", "gthread",
                "--threads", ZAQAR_THREADS, "--keep-alive", "600", "--timeout", "120",
                "--graceful-timeout", "5", "--no-control-socket", "zaqar.transport.wsgi.app:app",
            ],
            HOME=str(home.resolve()),
        )
        try:
            said = self.until(lambda: self.said(r"Listening at: (\S+)"), "Zaqar does not start")
            self.url = said[1]
            self.until(self.answers, "Zaqar does not answer")
        except BaseException:
            self.stop()
            raise


class Nusku(Server):
    """The program under test."""

    kind = "nusku"

    def __init__(self, binary, name, scratch, mongod, driver, database):
        super().__init__(name, scratch)
        self.spawn(
            [binary, "serve", "--port", "0", "--storage",
             f"mongodb://{mongod.address}/?replicaSet=interop"],
            NUSKU_STORAGE__MONGODB__DRIVER=driver,
            NUSKU_STORAGE__MONGODB__DATABASE=database,
            NUSKU_ENCRYPTION__KEYS="interop:no-secret-but-as-long-as-a-secret-must-be",
            NUSKU_ENCRYPTION__ZAQAR_KEY="blue-lantern",
            NUSKU_LOG__REQUESTS="false",
            NUSKU_WEBSOCKET__ENABLED="false",
        )
        try:
            said = self.until(lambda: self.said(r"listens on (\S+)"), "nusku does not start")
            self.url = said[1]
            self.until(self.answers, "nusku does not answer")
        except BaseException:
            self.stop()
            raise


@contextlib.contextmanager
def running(start, *arguments):
    """A process as long as the block."""
    process = start(*arguments)
    try:
        yield process
    finally:
        process.stop()
