#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Least-connection with connections that last: a new one goes where the fewest
# are, weighted or not, and the counts are those that `-L -n` shows.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin

service lc
client_background hold28 "$helper" hold --to "$vip:80" --count 28
ready hold28
is "lc: 28 held connections are on 28 different servers" \
  "$(grep -c . <(grep '^rs' "$scratch/hold28" | sort -u))" 28
is "-L -n shows 28 active connections" "$(active_conns)" 28
idle=$(comm -23 <(each 0 $(seq 1 $shared_servers) | cut -d' ' -f1) \
  <(grep '^rs' "$scratch/hold28" | sort -u))
is "lc: the next 20 short ones all go to the idle 29th" \
  "$(visits 20)" "$idle 20"
finish hold28

# The same where counts are uneven to begin with: two servers hold 3 each, then
# a third appears.
x -A -t "$vip:81" -s lc
x -a -t "$vip:81" -r "$(server_port 1)" -m
x -a -t "$vip:81" -r "$(server_port 2)" -m
client_background hold6 "$helper" hold --to "$vip:81" --count 6
ready hold6
is "lc: 6 held connections on 2 servers are 3 and 3" \
  "$(grep '^rs' "$scratch/hold6" | sort | uniq -c | awk '{print $2, $1}')" \
  "$(each 3 1 2)"
x -a -t "$vip:81" -r "$(server_port 3)" -m
client_background hold3 "$helper" hold --to "$vip:81" --count 3
ready hold3
is "lc: a server that is added gets the next 3, until it is level" \
  "$(grep '^rs' "$scratch/hold3" | sort | uniq -c | awk '{print $2, $1}')" \
  "$(each 3 3)"
finish hold6
finish hold3

x -A -t "$vip:82" -s wlc
for number in 1 2 3; do
  x -a -t "$vip:82" -r "$(server_port $number)" -m -w $number
done
client_background hold60 "$helper" hold --to "$vip:82" --count 60
ready hold60
is "wlc: 60 held connections over weights 1, 2, 3 are 10, 20, 30" \
  "$(grep '^rs' "$scratch/hold60" | sort | uniq -c | awk '{print $2, $1}')" \
  "$(each 10 1; each 20 2; each 30 3)"
x -e -t "$vip:82" -r "$(server_port 1)" -m -w 0
is "wlc: weight 0 gets none of the next 10" \
  "$(visits 10 / "$vip:82" | grep -c rs01 || true)" 0
finish hold60
check_balance
end
