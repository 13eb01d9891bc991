# nusku on MongoDB, in a database of its own.
# shellcheck shell=bash

title[nusku-mongodb]="nusku on MongoDB"
protocol[nusku-mongodb]=zaqar
packages[nusku-mongodb]="mongodb zaqar"
consumes[nusku-mongodb]=30000
servers[nusku-mongodb]="nusku mongod"

serve_nusku-mongodb() {
  dir[mongod]=$1
  start_mongod
  unset 'dir[mongod]' # not to be deleted with the server
  start nusku "mongodb://127.0.0.1:${port[mongod]}/?replicaSet=bench"
}

describe_nusku-mongodb() {
  echo "- nusku on MongoDB: MongoDB $("$MONGOD" --version | sed -n 's/^db version v//p'), a replica set of one" \
    "node; every write waits for the majority, with its journal"
}
