#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Commands that run at the same time wait for each other: nothing is lost.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin
x -A -t "$vip:80" -s rr

pids=()
for ((number = 1; number <= 50; number++)); do
  x -a -t "$vip:80" -r "$(server_port $number)" -m -w $number &
  pids+=($!)
done
bad=0
for pid in "${pids[@]}"; do wait "$pid" || bad=$((bad + 1)); done
is "50 commands at once all succeed" "$bad" 0
is "all 50 servers are there, each with its weight" \
  "$(x -S -n | grep -- ' -r ' | sort)" \
  "$(for ((number = 1; number <= 50; number++)); do
    echo "-a -t $vip:80 -r $(server_port $number) -m -w $number"
  done | sort)"

pids=()
for ((number = 1; number <= 20; number++)); do
  x -A -t "$vip:99" -s rr 2>/dev/null &
  pids+=($!)
done
won=0
for pid in "${pids[@]}"; do ! wait "$pid" || won=$((won + 1)); done
is "of 20 that add the same service one wins" "$won" 1
pids=()
for ((number = 30; number <= 50; number++)); do
  x -d -t "$vip:80" -r "$(server_port $number)" &
  pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || true; done
x -E -t "$vip:80" -s rr
is "traffic goes to the 29 that are left" \
  "$(visits 58)" "$(everyone 2)"
check_balance
end
