#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Real servers and services come and go under load: connections of others never
# notice.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin
service rr
service rr 3 81

# The client's ports for what comes now.
client_ports() {
  client sh -c "echo $* >/proc/sys/net/ipv4/ip_local_port_range"
}
client_ports 20000 60000

# 29 long connections (one to each server) and 4 visitors with short ones.
load() {
  client_background streams "$helper" stream --to "$vip:80" --count 29
  ready streams
  client_background visits "$helper" visit --to "$vip:80" --count 4
  ready visits
  sleep 0.5
}

# unload: broken long ones, `SERVER ERROR` a line, in $broken.
unload() {
  finish visits
  finish streams
  broken=$(awk 'NF == 3 && $3 != "-" {print $1, $3}' "$scratch/streams")
  read_visits
}

load
x -e -t "$vip:80" -r "$(server_port 7)" -m -w 0
sleep 0.7
x -e -t "$vip:80" -r "$(server_port 7)" -m -w 1
sleep 0.5
unload
is "weight 0 and back: no long connection breaks" "$broken" ''
is "weight 0 and back: no visit fails (of $answers)" "$failures" 0

load
x -d -t "$vip:80" -r "$(server_port 7)"
sleep 3.5 # the visitors' timeout is 3 s: whatever is lost shows
unload
is "a server removed: only its own long connection breaks" \
  "${broken%% *}" rs07
is "a server removed: just one breaks" "$(grep -c . <<<"$broken")" 1
# One a visitor at most: those that were on that server at that moment.
if ((failures <= 4 && answers > 200)); then
  ok "a server removed: other visits go on"
else
  not_ok "a server removed: other visits go on" \
    "$failures failed, $answers answered ($kinds)"
fi

client_background visits "$helper" visit --to "$vip:80" --count 4
ready visits
x -a -t "$vip:80" -r "$(server_port 7)" -m
sleep 1
finish visits
read_visits
is "a server added: no visit fails (of $answers)" "$failures" 0
is "a server added: it has its share again" "$(visits 58)" "$(everyone 2)"

load
x -D -t "$vip:81"
sleep 0.3
service rr 3 81
sleep 0.3
unload
is "another service deleted and added: no long connection breaks" "$broken" ''
is "another service deleted and added: no visit fails (of $answers)" \
  "$failures" 0
# A port that a visit by the other service had is in TIME_WAIT at the server,
# which may refuse it at first: the client's second SYN is another turn.
client_ports 10000 19999
is "and it works again" "$(visits 6 / "$vip:81")" "$(each 2 1 2 3)"

x -D -t "$vip:80"
check "a deleted service answers no more" fails answers 1
service rr 3
is "a service added again works at once" "$(visits 6)" "$(each 2 1 2 3)"
check_balance
end
