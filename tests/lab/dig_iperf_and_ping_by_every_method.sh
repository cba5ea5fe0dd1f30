#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# UDP by people's own programs: dig asks a DNS server and iperf3 measures, by
# every method and in both families. The VIP is the director's as well: it
# answers ping itself.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --servers 3 --method nat,dr,tun --udp

name_of() {
  client dig +short +tries=1 +time=3 "@$(bare "$vip")" TXT name.lab |
    tr -d '"' | tail -n 1
}

# Prints what is wrong; of 20 Mbit/s for a second, 1 in 100 may get lost.
measure() {
  local out
  out=$(client timeout 20 iperf3 -c "$(bare "$vip")" -u -b 20M -t 1 -l 1200 \
    -J "$@") || true
  jq -e '.end.sum.packets > 1000 and .end.sum.lost_percent < 1' \
    <<<"$out" >/dev/null || {
    jq -c '.error // .end.sum' <<<"$out"
    return 1
  }
}

cell() {
  local number=$1 what
  what="$(method_words "$number"), IPv$family"
  x -A -u "$vip:53" -s rr
  x -A -u "$vip:5201" -s rr
  x -A -t "$vip:5201" -s rr
  server -a -u 53 "$number"
  server -a -u 5201 "$number"
  forward_to "$number" # TCP to port 5201 of it, not 80
  x -a -t "$vip:5201" -r "$(server_port "$number" 5201)" "${forward[@]}"
  is "$what: dig is answered" "$(name_of)" "$(lab_server "$number")"
  check "$what: iperf3 -u to the server" measure
  check "$what: iperf3 -u from the server" measure -R
  x -D -u "$vip:53"
  x -D -u "$vip:5201"
  x -D -t "$vip:5201"
}

echoes() {
  if ((family == 6)); then
    director awk '$1 == "Icmp6InEchos" {print $2}' /proc/net/snmp6
  else
    director awk '/^Icmp:/ {if (!n++) split($0, h); else split($0, v)}
                  END {for (i in h) if (h[i] == "InEchos") print v[i]}' \
      /proc/net/snmp
  fi
}

for either in 4 6; do
  speak "$either"
  for number in 1 2; do cell $number; done
  for tunnel in ipip gue gre; do cell 3; done
  service rr 3
  before=$(echoes)
  check "IPv$family: the VIP answers 5 pings" \
    client ping -q -c 5 -i 0.05 -W 2 "$(bare "$vip")"
  is "IPv$family: and it was the director that did" \
    $(($(echoes) - before)) 5
done
check_balance
end
