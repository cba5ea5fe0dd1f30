#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a tunnel adds is missing for the packet inside: of a link of 1,400 bytes a
# client learns the rest, exactly, and what it sends then arrives.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --servers 1 --method tun
upload=$lab_data-$lab/upload
head -c 3000000 /dev/urandom >"$scratch/stream"
sum=$(sha256sum <"$scratch/stream")
ip -n "$lab-dir" link set eth1 mtu 1400

# narrow FAMILY TUNNEL BYTES
narrow() {
  local what
  speak "$1"
  tunnel=$2
  what="$tunnel, IPv$family"
  x -A -t "$vip:80" -s rr
  server -a -t 80 1
  forget_mtus
  client curl -gsS --max-time 20 -o /dev/null -T "$scratch/stream" \
    "http://$vip/upload/stream"
  is "$what: 3 MB arrive unchanged" \
    "$(sha256sum <"$upload/1/stream")" "$sum"
  rm -f "$upload/1/stream"
  is "$what: the client has learned of 1,400 - $3 bytes" \
    "$(learned_mtu "$lab-client" "$(bare "$vip")")" $((1400 - $3))
  x -D -t "$vip:80"
}

# IP header, then UDP (8) and GUE (4), or GRE (4).
narrow 4 ipip 20
narrow 4 gue 32
narrow 4 gre 24
narrow 6 ipip 40
narrow 6 gue 52
narrow 6 gre 44
check_balance
end
