"""Tempest with the tests of zaqar-tempest-plugin, and the table of those that fail."""

import os
import pathlib
import re
import subprocess

from keystone import ADMIN_PASSWORD
from servers import die_with_parent, place

PREFIX = "zaqar_tempest_plugin.tests.v2."
RUNNERS = 2
TABLE = pathlib.Path(__file__).parent / "deviations.md"

# Tempest makes a project and a user for each class of tests.
SETTINGS = """\
[DEFAULT]
log_file = tempest.log
[auth]
use_dynamic_credentials = true
create_isolated_networks = false
admin_username = admin
admin_password = {password}
admin_project_name = admin
admin_domain_name = Default
[identity]
auth_version = v3
uri_v3 = {keystone.url}
region = RegionOne
[oslo_concurrency]
lock_path = {workspace}
[service_available]
zaqar = true
cinder = false
glance = false
neutron = false
nova = false
swift = false
"""


class Suite:
    """A workspace of Tempest for one Keystone, whose catalogue names the server."""

    def __init__(self, scratch, keystone):
        self.workspace = (scratch / "workspace").resolve()
        self.log = scratch / "tempest.log"
        self.programs = place("NUSKU_TEST_TEMPEST") / "bin"
        self.tempest("init", self.workspace)
        (self.workspace / "etc/tempest.conf").write_text(SETTINGS.format(
            keystone=keystone, password=ADMIN_PASSWORD, workspace=self.workspace))

    def tempest(self, *command, **options):
        """What it writes to its output; its errors go to the log."""
        # It starts stestr by name, and keeps a list of workspaces at home.
        environment = {**os.environ, "HOME": str(self.workspace.parent.resolve()),
                       "PATH": f"{self.programs}:{os.environ['PATH']}"}
        with self.log.open("ab") as log:
            ended = subprocess.run([self.programs / "tempest", *command], env=environment,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                   text=True, preexec_fn=die_with_parent, **options)
            log.write(ended.stdout.encode())
        return ended.stdout

    def tests(self):
        """The names of all of them."""
        listed = self.tempest("run", "--list-tests", "--regex", PREFIX, cwd=self.workspace)
        names = re.findall(rf"^{re.escape(PREFIX)}([\w.]+)", listed, re.MULTILINE)
        assert names, f"Tempest lists no tests; see {self.log}"
        return sorted(names)

    def run(self):
        """Whether each test that ran was `ok`; others were skipped, or had no setup."""
        told = self.tempest("run", "--regex", PREFIX, "--concurrency", str(RUNNERS),
                            cwd=self.workspace)
        lines = re.findall(rf"^\{{\d+\}} {re.escape(PREFIX)}([\w.]+) \[.*?\] \.\.\. (\w+)",
                           told, re.MULTILINE)
        return {name: outcome == "ok" for name, outcome in lines}


def deviations(column):
    """The tests that fail, by `column` of the table ("nusku" or "zaqar"), and all
    that stand in it. A row is: test, nusku, Zaqar, what it wants, why nusku differs.
    """
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")]
            for line in TABLE.read_text().splitlines() if line.startswith("| `")]
    names = [row[0].strip("`") for row in rows]
    assert len(set(names)) == len(names), f"{TABLE}: a test stands there twice"
    cell = {"nusku": 1, "zaqar": 2}[column]
    assert all(len(row) == 5 and all(row) for row in rows), f"{TABLE}: a row is not whole"
    assert all(row[cell] in ("passes", "fails") for row in rows), f"{TABLE}: passes or fails"
    return {row[0].strip("`") for row in rows if row[cell] == "fails"}, set(names)
