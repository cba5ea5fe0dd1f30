#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Weighted round robin gives exactly the weights over whole cycles, also after
# weights change, and nothing to weight 0.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin

x -A -t "$vip:80" -s wrr
expected=''
total=0
for ((number = 1; number <= shared_servers; number++)); do
  weight=$((number % 6)) # every sixth has weight 0
  x -a -t "$vip:80" -r "$(server_port $number)" -m -w $weight
  total=$((total + weight))
  ((weight == 0)) || expected+="$(lab_server $number) $((3 * weight))"$'\n'
done
is "three cycles of weights 0 to 5: three times each weight, 0 gets none" \
  "$(visits $((3 * total)))" "${expected%$'\n'}"

x -e -t "$vip:80" -r "$(server_port 1)" -m -w 10
for ((number = 2; number <= shared_servers; number++)); do
  x -e -t "$vip:80" -r "$(server_port $number)" -m -w $((number == 2 ? 5 : 0))
done
is "changed to 10 and 5 (all others 0): 2 to 1" \
  "$(visits 30)" "$(each 20 1; each 10 2)"

x -e -t "$vip:80" -r "$(server_port 1)" -m -w 0
x -e -t "$vip:80" -r "$(server_port 2)" -m -w 0
refuses "every weight 0: refused at once, as without a server" '^curl: \(7\) ' \
  answers 2
check_balance
end
