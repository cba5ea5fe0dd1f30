#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# With short timeouts and no xlvs process, connections disappear and the counts
# of active and inactive connections go back to 0. TIME_WAIT (120 s, which --set
# does not reach) has a file of its own: counters_return_to_zero.sh.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin
service rr 5
x --set 2 2 2
is "--set is what --timeout says" "$(x -L --timeout | tail -n 1)" \
  "Timeout (tcp tcpfin udp): 2 2 2"

client_background hold "$helper" hold --to "$vip:80" --count 10
ready hold
is "10 idle connections are active" "$(active_conns)" 10
is "-L -n -c shows them as ESTABLISHED" \
  "$(listed_conns ESTABLISHED)" 10
sleep 5 # nobody looks: nothing of ours runs
is "after their 2 s they are not listed" "$(listed_conns)" 0
is "after their 2 s none is active" "$(active_conns)" 0
check "nor inactive" no_conns
finish hold

client_background half "$helper" hold --to "$vip:80" --count 10 --end server
ready half
is "10 connections that the server closed are inactive" \
  "$(inactive_conns)" 10
is "-L -n -c shows them as FIN_WAIT" "$(listed_conns FIN_WAIT)" 10
check "after 2 s they are gone" within 5 no_conns
finish half

client "$helper" hold --to "$vip:80" --count 10 --end reset >/dev/null
is "10 connections that the client reset are inactive" "$(inactive_conns)" 10
is "-L -n -c shows them as CLOSE" "$(listed_conns CLOSE)" 10
check "after 10 s they are gone" within 14 no_conns
is "and not listed" "$(listed_conns)" 0

is "new connections work after all that" "$(visits 10)" "$(each 2 1 2 3 4 5)"
check_balance
end
