#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Director and real servers have 9,000 bytes, the client has 1,400: xlvs attaches
# to such an interface, streams arrive, and a masqueraded server that answers
# with more than fits to the client is told so.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --servers 2 --method nat,dr --jumbo
files=$lab_data-$lab/files
head -c 20000000 /dev/urandom >"$files/stream"
sum=$(sha256sum <"$files/stream")
background echo "$helper" servers --port 5300 "$lab-rs01"
ready echo

check "xlvs attached natively" \
  grep -q '(native)' <(x status | grep "${devices[-1]}")
for either in 4 6; do
  speak "$either"
  # An IPv4 router divides fragments again, so the first link's size will do.
  if ((family == 6)); then
    to_client=$lab_client6 fits=$lab_mtu
  else
    to_client=$lab_client fits=1500
  fi
  service rr 2
  for _ in 1 2; do
    is "IPv$family: 20 MB from a server arrive unchanged" \
      "$(client curl -gsS --max-time 10 "http://$vip/files/stream" |
        sha256sum)" "$sum"
  done
  for _ in 1 2; do
    client curl -gsS --max-time 10 -o /dev/null -T "$files/stream" \
      "http://$vip/upload/stream"
  done
  for number in 1 2; do
    is "IPv$family: 20 MB to $(lab_server $number) arrive unchanged" \
      "$(sha256sum <"$lab_data-$lab/upload/$number/stream")" "$sum"
    rm -f "$lab_data-$lab/upload/$number/stream"
  done

  forget_mtus
  x -A -u "$vip:5300" -s rr
  server -a -u 5300 1
  # What is lost while a path MTU is learned, UDP does not send again: the
  # client's datagram here, the server's answer there.
  is "IPv$family, 4,000 bytes each way in UDP: answered in the end" \
    "$(client "$helper" udp --to "$vip:5300" --size 4000 --turns 5 |
      tail -n 1)" rs01
  is "IPv$family: the server has learned that $fits bytes fit" \
    "$(learned_mtu "$lab-rs01" "$to_client")" "$fits"
done
finish echo
check_balance
end
