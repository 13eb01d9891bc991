"""The `openstack` program, as a user runs it."""

import json
import os
import subprocess

from people import USERS, password_of
from servers import die_with_parent, place

ASK_PLUGIN = """
from importlib.metadata import entry_points
for command in entry_points(group="openstack.messaging.v2"):
    print(command.name.removeprefix("messaging_").replace("_", " "))
"""


class OpenStack:
    """Commands of `openstack messaging`; remembers which were used."""

    def __init__(self, keystone, client):
        self.programs = place("NUSKU_TEST_CLIENTS") / "bin"
        self.environment = {
            "OS_AUTH_URL": keystone.url, "OS_IDENTITY_API_VERSION": "3",
            "OS_USER_DOMAIN_ID": "default", "OS_PROJECT_DOMAIN_ID": "default",
            "OS_MESSAGE_CLIENT_ID": client,
        }
        self.used = set()

    def installed(self):
        """All commands that the plugin brings."""
        told = subprocess.run([self.programs / "python", "-c", ASK_PLUGIN], check=True,
                              stdout=subprocess.PIPE, text=True)
        return set(told.stdout.splitlines())

    def call(self, command, *words, user="blue-member", shown=()):
        """The ended process of `openstack messaging COMMAND WORDS`."""
        self.used.add(command)
        who = {"OS_USERNAME": user, "OS_PASSWORD": password_of(user),
               "OS_PROJECT_NAME": USERS[user][0]}
        return subprocess.run(
            [self.programs / "openstack", "messaging", *command.split(), *words, *shown],
            env={**os.environ, **self.environment, **who}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, preexec_fn=die_with_parent)

    def do(self, command, *words, **options):
        """Expects that it works; gives back what it prints."""
        ended = self.call(command, *words, **options)
        assert ended.returncode == 0, f"{command}: {ended.stderr}"
        return ended.stdout

    def show(self, command, *words, **options):
        """The same for a command that shows a table; the table."""
        return json.loads(self.do(command, *words, shown=["-f", "json"], **options))
