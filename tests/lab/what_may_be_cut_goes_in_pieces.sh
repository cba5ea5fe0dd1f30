#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Datagrams whose sender lets them be fragmented (DF is not set) and that are too
# large for the way to a real server: they go in pieces, by every method, and
# arrive whole. Answers of Route and Tunnel do not pass the director.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --servers 3 --method nat,dr,tun
ip -n "$lab-dir" route replace "$lab_net.0/24" dev eth1 \
  mtu lock 700
background masq "$helper" servers --port 5300 "$lab-rs01"
ready masq
background others "$helper" servers --port 5300 --bind "::ffff:$vip" \
  "$lab-rs02" "$lab-rs03"
ready others

# cut NUMBER BYTES: ten datagrams to a server, each answered whole.
cut() {
  local what
  what="$(method_words "$1"), $2 bytes"
  x -A -u "$vip:5300" -s rr
  server -a -u 5300 "$1"
  is "$what: ten of ten arrive whole" \
    "$(client "$helper" udp --to "$vip:5300" --turns 10 --size "$2" \
      --may-be-cut | sort | uniq -c | awk '{print $2, $1}')" \
    "$(lab_server "$1") 10"
  x -D -u "$vip:5300"
}

for bytes in 100 690 1300 4000; do
  for number in 1 2; do cut $number $bytes; done
  for tunnel in ipip gue gre; do cut 3 $bytes; done
done
check "the kernel was asked to cut" test "$(ending '^pass_too_big$')" -gt 100
is "nothing was dropped" "$(ending '^drop_')" 0
check_balance
end
