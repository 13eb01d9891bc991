# Zaqar on MongoDB, tuned: see BENCHMARKS.md.
# shellcheck shell=bash

title[zaqar]=Zaqar
protocol[zaqar]=zaqar
packages[zaqar]="mongodb zaqar"
consumes[zaqar]=2000
servers[zaqar]="zaqar mongod"

serve_zaqar() {
  dir[mongod]=$1
  start_mongod
  unset 'dir[mongod]' # not to be deleted with the server
  start_zaqar zaqar
}

describe_zaqar() {
  echo "- Zaqar $(version_of zaqar): gunicorn $(version_of gunicorn) with 2 workers of $ZAQAR_THREADS threads, the same"     "MongoDB with \`w=majority&journal=true\`"
}
