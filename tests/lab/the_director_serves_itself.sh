#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A real server that is the director: Masq rewrites what comes in by XDP and what
# goes out by TC, Route and Tunnel leave packets as they are. Beside another one,
# for clients on either interface.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --servers 1

# An nginx of the director, at another port than the service's.
conf=$scratch/nginx.conf
cat >"$conf" <<CONF
daemon off;
pid $scratch/nginx.pid;
error_log $scratch/nginx.log;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path $scratch/t1; proxy_temp_path $scratch/t2;
  fastcgi_temp_path $scratch/t3; uwsgi_temp_path $scratch/t4;
  scgi_temp_path $scratch/t5;
  server {
    listen 8080; listen [::]:8080 ipv6only=on;
    location / { return 200 "director\n"; }
    location /files/ { alias $lab_data-$lab/files/; }
  }
}
CONF
background nginx nsenter --net="/run/netns/$lab-dir" nginx -e "$scratch/nginx.log" \
  -c "$conf"
check "an nginx listens on the director" within 10 \
  director curl -sS --max-time 1 -o /dev/null http://127.0.0.1:8080/
head -c 20000000 /dev/urandom >"$lab_data-$lab/files/stream"
sum=$(sha256sum <"$lab_data-$lab/files/stream")

for either in 4 6; do
  speak "$either"
  if ((family == 6)); then self=[$lab_net6:1]; else self=$lab_net.1; fi
  x -A -t "$vip:81" -s rr
  x -a -t "$vip:81" -r "$self:8080" -m
  server -a -t 81 1
  is "IPv$family, Masq: 20 requests, 10 for each" \
    "$(visits 20 / "$vip:81")" $'director 10\nrs01 10'
  x -d -t "$vip:81" -r "$(server_port 1)"
  is "IPv$family, Masq: 20 MB from the director arrive unchanged" \
    "$(client curl -gsS --max-time 20 "http://$vip:81/files/stream" |
      sha256sum)" "$sum"
  x -A -t "$vip:8080" -s rr
  for method in -g -i; do
    x -a -t "$vip:8080" -r "$self:8080" "$method"
    is "IPv$family, $method: ten requests" "$(visits 10 / "$vip:8080")" \
      "director 10"
    x -d -t "$vip:8080" -r "$self:8080"
  done
  x -D -t "$vip:81"
  x -D -t "$vip:8080"
done
check "packets went up" test "$(ending '^pass_local$')" -gt 100
speak 4
x -A -t "$vip:82" -s rr
x -a -t "$vip:82" -r 127.0.0.1:8080 -m
check "to a loopback address nothing goes from outside, as with IPVS" \
  fails client curl -sS --max-time 2 -o /dev/null "http://$vip:82/"
check "and that has a name" test "$(ending '^drop_dest_loopback$')" -gt 0
check_balance
end
