# PostgreSQL with a table that is a queue.
# shellcheck shell=bash

title[postgresql]="PostgreSQL (pgmq's way)"
protocol[postgresql]=postgresql
packages[postgresql]=postgresql
consumes[postgresql]=30000
servers[postgresql]=postgresql

serve_postgresql() {
  local programs=$NUSKU_TEST_POSTGRESQL/usr/lib/postgresql/15/bin library
  library=$(dirname "$(echo "$NUSKU_TEST_POSTGRESQL"/usr/lib/*/libpq.so.5)")
  if [[ ! -e $1/PG_VERSION ]]; then
    ((EUID)) || chown 65534:65534 "$1"
    (LD_LIBRARY_PATH=$library unprivileged "$programs/initdb" --pgdata "$1" --username peers \
      --auth trust --encoding UTF8 --locale C) >>"$OUT/server-postgresql.log" 2>&1 ||
      die "initdb failed: see $OUT/server-postgresql.log; can nobody read $1?"
    cat >>"$1/postgresql.conf" <<'SETTINGS'
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = on
synchronous_commit = on
wal_sync_method = fdatasync
shared_buffers = 1GB
max_wal_size = 4GB
checkpoint_timeout = 15min
autovacuum_naptime = 5s
autovacuum_vacuum_cost_delay = 0
jit = off
SETTINGS
  fi
  port[postgresql]=$(free_port)
  (LD_LIBRARY_PATH=$library unprivileged "$programs/postgres" -D "$1" -p "${port[postgresql]}") \
    >>"$OUT/server-postgresql.log" 2>&1 &
  pid[postgresql]=$!
  await_port postgresql
  until LD_LIBRARY_PATH=$library "$programs/pg_isready" --quiet --host 127.0.0.1 --port "${port[postgresql]}"; do
    kill -0 "${pid[postgresql]}" 2>/dev/null || die "PostgreSQL died: see $OUT/server-postgresql.log"
    sleep 0.05
  done
}

describe_postgresql() {
  echo "- PostgreSQL $("$NUSKU_TEST_POSTGRESQL/usr/lib/postgresql/15/bin/postgres" --version | grep -o '15[.][0-9]*' | head -1):" \
    "a table with the columns, indexes and statements of pgmq; \`synchronous_commit=on\`, flushed with \`fdatasync\`"
}
