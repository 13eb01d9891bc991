# nusku on its embedded store.
# shellcheck shell=bash

title[nusku]=nusku
protocol[nusku]=zaqar
packages[nusku]=
consumes[nusku]=100000
servers[nusku]=nusku

serve_nusku() { start nusku "embedded:$1"; }

describe_nusku() {
  echo "- nusku: $("$NUSKU" --version), embedded store; a commit is flushed (\`fdatasync\`) and shared by" \
    "the requests that wait for it; claims and deletions are commits too"
}
