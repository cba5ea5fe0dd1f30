#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# When all is over, with IPVS's own timeouts, every connection has expired and
# every count is 0. Takes 2 minutes (TIME_WAIT) of which it sleeps almost all:
# tests/lab/run starts it first, in the background, in a lab of its own.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
XLVS_TEST_LAB=''
begin --servers 5

service rr 5
is "50 visits: 10 for each of 5 servers" "$(visits 50)" "$(each 10 1 2 3 4 5)"
client "$helper" hold --to "$vip:80" --count 10 --end client >/dev/null
is "all 60 connections are over, so inactive" \
  "$(active_conns) $(inactive_conns)" "0 60"
is "-L -n -c shows them as TIME_WAIT" "$(listed_conns TIME_WAIT)" 60

sleep 110
is "after 110 s they are still there" "$(inactive_conns)" 60
sleep 14
is "after 124 s none is listed" "$(listed_conns)" 0
is "every count is 0" "$(active_conns) $(inactive_conns)" "0 0"
is "status counts no connection" \
  "$(x status --json | jq .conns)" 0
check_balance
end
