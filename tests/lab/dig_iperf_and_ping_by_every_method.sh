#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# UDP by people's own programs: dig asks a DNS server and iperf3 measures, by
# every method and in both families, also with datagrams of 4,000 bytes, which
# travel in fragments. The VIP is the director's as well: it answers ping itself.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --servers 3 --method nat,dr,tun --udp

name_of() {
  client dig +short +tries=1 +time=3 "@$(bare "$vip")" TXT name.lab |
    tr -d '"' | tail -n 1
}

# measure BYTES [OPTION...]: a megabyte in datagrams of so many bytes, at 20
# Mbit/s. Prints what is wrong. A quarter may get lost: nobody who sends UDP asks
# whether there is time to receive.
measure() {
  local bytes=$1 out
  shift
  out=$(client timeout 20 iperf3 -c "$(bare "$vip")" -u -b 20M -n 1M \
    -l "$bytes" -J "$@") || true
  jq -e --argjson bytes "$bytes" \
    '.end.sum.packets >= 1000000 / $bytes and .end.sum.lost_percent < 25' \
    <<<"$out" >/dev/null || {
    jq -c '.error // .end.sum' <<<"$out"
    return 1
  }
}

# To be told of a path MTU is an error to iperf3: each end learns it beforehand.
learn_mtu() {
  local netns=$1 address=$2
  in_netns "$netns" ping -q -c 2 -i 0.1 -W 1 -s 2000 "$address" >/dev/null || true
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
  check "$what: iperf3 -u to the server" measure 1200
  check "$what: iperf3 -u from the server" measure 1200 -R
  check "$what: iperf3 -u to the server, in fragments" measure 4000
  # By other methods that way does not pass the director.
  [[ $number != 1 ]] ||
    check "$what: iperf3 -u from the server, in fragments" measure 4000 -R
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
  if ((family == 6)); then to_client=$lab_client6; else to_client=$lab_client; fi
  learn_mtu "$lab-client" "$(bare "$vip")"
  for number in 1 2 3; do
    learn_mtu "$lab-$(lab_server "$number")" "$to_client"
  done
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
