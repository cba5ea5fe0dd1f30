#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 100 MB in each direction by every method and in both families, where neither
# client nor server knows that a hop between them takes 1,400 bytes only. The
# router at that hop says so in ICMP: to the client directly, to the real server
# at the service's address, so that the director must pass it on.
#
#   streams_cross_a_narrow_hop_by_every_method.sh [METHOD [FAMILY]]
#     only one of nat, dr, ipip, gue, gre; only 4 or 6
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --servers 3 --method nat,dr,tun
only_method=${1:-} only_family=${2:-}

files=$lab_data-$lab/files
upload=$lab_data-$lab/upload
head -c 100000000 /dev/urandom >"$files/stream"
sum=$(sha256sum <"$files/stream")

download() {
  client curl -gsS --max-time 30 "http://$vip/files/stream" | sha256sum
}

put() {
  client curl -gsS --max-time 30 -o /dev/null -T "$files/stream" \
    "http://$vip/upload/stream"
  [[ ! -e $upload/$1/stream ]] || sha256sum <"$upload/$1/stream"
  rm -f "$upload/$1/stream"
}

# cell METHOD FAMILY NUMBER: the server of that method, alone in a service.
cell() {
  local method=$1 number=$3 what to_client
  [[ -z $only_method || $only_method == "$method" ]] || return 0
  [[ -z $only_family || $only_family == "$2" ]] || return 0
  [[ $number != 3 ]] || tunnel=$method
  speak "$2"
  if ((family == 6)); then to_client=$lab_client6; else to_client=$lab_client; fi
  what="$(method_words "$number"), IPv$family"
  x -A -t "$vip:80" -s rr
  server -a -t 80 "$number"
  forget_mtus
  is "$what: 100 MB from the server arrive unchanged" "$(download)" "$sum"
  is "$what: the server has learned of the 1,400 bytes" \
    "$(learned_mtu "$lab-$(lab_server "$number")" "$to_client")" "$lab_mtu"
  forget_mtus
  is "$what: 100 MB to the server arrive unchanged" "$(put "$number")" "$sum"
  is "$what: the client has learned of the 1,400 bytes" \
    "$(learned_mtu "$lab-client" "$(bare "$vip")")" "$lab_mtu"
  x -D -t "$vip:80"
}

for either in 4 6; do
  cell nat $either 1
  cell dr $either 2
  for kind in ipip gue gre; do cell $kind $either 3; done
done
rm -f "$files/stream"
check_balance
end
