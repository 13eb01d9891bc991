"""A real Keystone: SQLite, Fernet tokens, gunicorn on 127.0.0.1."""

import contextlib
import os
import pathlib
import signal
import subprocess

from api import Client
from servers import Process, free_port, place

ADMIN_PASSWORD = "secret-of-the-admin"
THREADS = 8

SETTINGS = """\
[database]
connection = sqlite:///{home}/keystone.db
[fernet_tokens]
key_repository = {home}/fernet-keys
max_active_keys = 3
[credential]
key_repository = {home}/credential-keys
[identity]
# Hashing passwords well is slow, and not what is tested.
password_hash_rounds = 4
"""

# In a file: Keystone takes gunicorn's flags for its own.
GUNICORN = """\
wsgi_app = "keystone.wsgi.api:application"
bind = ["{address}"]
worker_class = "gthread"
threads = {threads}
graceful_timeout = 5
accesslog = "{access_log}"
access_log_format = "%(m)s %(U)s %(s)s"
control_socket_disable = True
"""


class Keystone(Process):
    """Set up, running, and known to its administrator only.

    It keeps its address when it is killed and started again.
    """

    def __init__(self, scratch):
        super().__init__("keystone", scratch)
        self.home = (scratch / "keystone").resolve()
        self.home.mkdir()
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}/v3"
        self.access_log = self.home / "access.log"
        (self.home / "keystone.conf").write_text(SETTINGS.format(home=self.home))
        (self.home / "gunicorn.py").write_text(GUNICORN.format(
            address=self.address, threads=THREADS, access_log=self.access_log))
        (self.home / "fernet-keys").mkdir(mode=0o700)
        self.manage("db_sync")
        self.manage("fernet_setup", *self.keys_of_this_user())
        self.manage("bootstrap", "--bootstrap-password", ADMIN_PASSWORD,
                    "--bootstrap-public-url", self.url, "--bootstrap-internal-url", self.url,
                    "--bootstrap-region-id", "RegionOne")
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    @staticmethod
    def keys_of_this_user():
        """Without a user, Keystone warns of keys that everybody can read."""
        return ["--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid())]

    def manage(self, *command):
        program = place("NUSKU_TEST_KEYSTONE") / "bin/keystone-manage"
        with self.log.open("ab") as log:
            subprocess.run([program, "--config-file", self.home / "keystone.conf", *command],
                           check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def rotate_keys(self):
        """Twice, so that no token that was given out is valid any more."""
        for _ in range(2):
            self.manage("fernet_rotate", *self.keys_of_this_user())

    def start(self, token_seconds=3600):
        """With the life of the tokens that it gives out until it is started again."""
        self.spawn(
            [place("NUSKU_TEST_KEYSTONE") / "bin/gunicorn"],
            OS_KEYSTONE_CONFIG_FILES=str(self.home / "keystone.conf"),
            OS_TOKEN__EXPIRATION=str(token_seconds),
            GUNICORN_CMD_ARGS=f"--config {self.home / 'gunicorn.py'}",
        )
        self.until(self.answers, "Keystone does not answer")

    def answers(self):
        with contextlib.suppress(OSError), contextlib.closing(self.client()) as client:
            return client.call("GET", "/v3").status == 200

    def client(self, token=None):
        client = Client("keystone", self.url, None, None)
        client.headers = {"X-Auth-Token": token} if token else {}
        return client

    def signal(self, number):
        """To gunicorn and its worker, which would live on for a while without it."""
        parent = self.child.pid
        children = pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for process in [parent, *map(int, children)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.child.wait()

    def revive(self):
        """Running and awake, whatever was done to it."""
        if self.child.poll() is None:
            self.signal(signal.SIGCONT)
        else:
            self.start()

    def requests(self, method, path):
        """How often somebody asked this of it, so far."""
        lines = self.access_log.read_text().splitlines()
        return sum(line.startswith(f"{method} {path} ") for line in lines)

    def validations(self):
        """How many tokens it was asked about."""
        return self.requests("GET", "/v3/auth/tokens")
