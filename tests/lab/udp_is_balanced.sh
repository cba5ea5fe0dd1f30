#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# UDP: each client port is a connection of its own, stays with its server, and
# gets its answers.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin

namespaces=()
for number in 1 2 3 4 5; do namespaces+=("$lab-$(lab_server $number)"); done
background echo "$helper" servers --port 53 "${namespaces[@]}"
ready echo

x -A -u "$vip:53" -s rr
for number in 1 2 3 4 5; do
  x -a -u "$vip:53" -r "$(server_port $number 53)" -m
done
names() {
  client "$helper" udp --to "$vip:53" "$@" | sort | uniq -c |
    awk '{print $2, $1}'
}

is "50 ports: 10 for each of 5 servers" \
  "$(names --port 20000 --count 50)" "$(each 10 1 2 3 4 5)"
is "4 datagrams from one port stay with one server" \
  "$(names --port 20100 --count 5 --turns 4)" "$(each 4 1 2 3 4 5)"
is "1,400 bytes come back unchanged" \
  "$(names --port 20200 --count 5 --size 1400)" "$(each 1 1 2 3 4 5)"
is "-L -n -c shows 60 connections in state UDP" \
  "$(listed_conns UDP)" 60
is "they count as inactive" "$(active_conns) $(inactive_conns)" "0 60"

x --set 0 0 2
# A timeout is taken at a connection's next packet.
names --port 20000 --count 50 >/dev/null
names --port 20100 --count 5 >/dev/null
names --port 20200 --count 5 >/dev/null
x -e -u "$vip:53" -r "$(server_port 1 53)" -m -w 0
is "weight 0 gets no new port" \
  "$(names --count 8 | grep -c rs01 || true)" 0
finish echo
check_balance
end
