# beanstalkd with its log, which it flushes at every write.
# shellcheck shell=bash

title[beanstalkd]=beanstalkd
protocol[beanstalkd]=beanstalkd
packages[beanstalkd]=beanstalkd
consumes[beanstalkd]=15000
servers[beanstalkd]=beanstalkd
fills_apart[beanstalkd]=yes

serve_beanstalkd() {
  local flushes=-f0
  [[ $2 == durable ]] || flushes=-F
  port[beanstalkd]=$(free_port)
  "$NUSKU_TEST_BEANSTALKD/usr/bin/beanstalkd" -l 127.0.0.1 -p "${port[beanstalkd]}" \
    -b "$1" "$flushes" >>"$OUT/server-beanstalkd.log" 2>&1 &
  pid[beanstalkd]=$!
  await_port beanstalkd
}

describe_beanstalkd() {
  echo "- $("$NUSKU_TEST_BEANSTALKD/usr/bin/beanstalkd" -v), with its log (\`-b\`); every put and every delete is" \
    "flushed by itself (\`-f0\`); a reservation is kept in memory alone"
}
