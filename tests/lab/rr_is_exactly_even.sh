#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Round robin gives every server exactly its share, and the counters say so.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin
service rr

is "290 requests one after the other: 10 for each of 29 servers" \
  "$(visits 290)" "$(everyone 10)"

is "--stats counts the same 10 connections for each" \
  "$(conns_by_server | awk '{print $2}' | sort -u)" 10

# Many at once: the order between CPUs is open, the shares are not.
client wrk -t 2 -c 32 -d 2 -H 'Connection: close' "http://$vip/" \
  >"$scratch/wrk"
is "wrk with 32 connections at once sees no error" \
  "$(grep -E 'Socket errors|Non-2xx' "$scratch/wrk" || true)" ''
check "shares differ by at most one connection" \
  awk '{n = $2; if (min == "" || n < min) min = n; if (n > max) max = n}
       END {if (max - min <= 1) exit 0; print min " to " max; exit 1}' \
  <(conns_by_server)
check_balance
end
