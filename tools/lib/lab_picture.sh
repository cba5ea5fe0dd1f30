# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The lab as a drawing, in at most 80 columns. Needs lab.sh.
#
#   lab_picture NAME [4|6]     who is where, with the addresses of one family
#   lab_way METHOD [4|6] [ipip|gue|gre]
#                              a packet's way there and back, who writes what;
#                              METHOD as in lab.sh: nat, dr, tun

lab_picture() {
  local name=$1 family=${2:-4} servers last
  servers=$(lab_get "$name" servers)
  last=$(lab_server "$servers")
  if [[ -n $(lab_get "$name" router) ]]; then
    _picture_routers
  elif [[ $(lab_get "$name" arms) == 2 ]]; then
    _picture_two_arms
  else
    _picture_one_arm
  fi
  [[ -z $(lab_get "$name" vlan) ]] || printf '%s\n' '' \
    '   eth0 is one trunk: servers in VLAN 20, everything else in VLAN 10.'
}

# Short forms, for boxes that hold both: .1.11 of 192.168.1.11, b::11 of
# 2001:db8:b::11.
_picture_short() {
  local address
  address=$(lab_address "$1" "$family")
  if ((family == 6)); then
    printf '%s' "${address#2001:db8:}"
  else
    printf '%s' "${address#192.168}"
  fi
}

_picture_addresses() {
  if ((family == 6)); then
    client=a::2 outside=a::1 inside=b::1 vip=b::100
    note=$'\n   addresses begin with 2001:db8:'
  else
    client=$lab_client outside=10.0.0.1 inside=$lab_net.1 vip=$lab_vip note=''
  fi
}

_picture_two_arms() {
  local client outside inside vip note
  _picture_addresses
  cat <<PICTURE
      client                    director                      real servers
   +-----------+       +-----------------------+           +----------------+
   | $(printf '%-8s' "$client")  |       | $(
    printf '%-8s  %11s' "$outside" "$inside"
  ) |     +-----| rs01  $(printf '%-8s' "$(_picture_short 1)") |
   |     eth0 -+-------+- eth0           eth1 -+-----+     +----------------+
   +-----------+       |                       |  switch         ...
    default via        |  VIP $(
    printf '%-13s' "$vip"
  )    |     |     +----------------+
    $(printf '%-8s' "$outside")           +-----------------------+     +-----| $(
    printf '%-5s %-8s' "$last" "$(_picture_short "$servers")"
  ) |
                                                           +----------------+
                                                            default via
                                                            $inside$note
PICTURE
}

_picture_one_arm() {
  local client outside inside vip note
  _picture_addresses
  cat <<PICTURE
      client                    director                      real servers
   +-----------+       +-----------------------+           +----------------+
   | $(printf '%-8s' "$client")  |       | $(
    printf '%-8s  %11s' "$outside" "$inside"
  ) |     +-----| rs01  $(printf '%-8s' "$(_picture_short 1)") |
   +-----+-----+       |  VIP $(
    printf '%-13s' "$vip"
  )    |     |     +----------------+
    eth0 |             |         eth0          |     |           ...
         |             +-----------+-----------+     |     +----------------+
         |                         |                 +-----| $(
    printf '%-5s %-8s' "$last" "$(_picture_short "$servers")"
  ) |
   ------+----------- switch ------+-----------------+     +----------------+
    default via                                             default via
    $(printf '%-8s' "$outside")                                                $inside$note
PICTURE
}

# With arrows if all servers are of one method: the numbers are lab_way's.
_picture_routers() {
  local methods client vip outside inside gateway there='   ' back='   '
  local down='   ' up='   ' past='   ' in='   '
  methods=$(lab_get "$name" methods)
  if ((family == 6)); then
    client=$lab_client6 vip=$lab_vip6 outside=2001:db8:d::1
    inside=$lab_net6:1 gateway=$lab_net6:254
  else
    client=$lab_client vip=$lab_vip outside=10.0.2.1
    inside=$lab_net.1 gateway=$lab_net.254
  fi
  case $methods in
    nat) there='1 >' back='< 4' down='v 2' up='3 ^' ;;
    dr | tun) there='1 >' down='v 2' past='3 ^' ;;
  esac
  if [[ $(lab_get "$name" arms) == 2 ]]; then
    cat <<PICTURE
      client            isp         router               director
 +---------------+   +-----+ 1400 +--------+   $there   +---------------------+
 | $(printf '%-13s' "$client") +---+     +------+        +---------+ $(
      printf '%-19s' "$outside"
    ) |
 +---------------+   +-----+bytes +---+----+   $back   | VIP $(
      printf '%-15s' "$vip"
    ) |
                                      |              +----------+----------+
                 $(printf '%15s' "$gateway")  $past |     $(
      printf '%15s' "$inside"
    ) $up | $down
                     switch  ---------+----+--------------------+---
PICTURE
  else
    # All on one wire: the way in and the way back pass the same port.
    case $methods in
      nat) past='4 ^' in='v 1' ;;
      dr | tun) in='v 1' ;;
    esac
    cat <<PICTURE
      client            isp         router               director
 +---------------+   +-----+ 1400 +--------+         +---------------------+
 | $(printf '%-13s' "$client") +---+     +------+        |         | VIP $(
      printf '%-15s' "$vip"
    ) |
 +---------------+   +-----+bytes +---+----+         +----------+----------+
                 $(printf '%15s' "$gateway")  $past | $in $(
      printf '%15s' "$inside"
    ) $up | $down
                     switch  ---------+----+--------------------+---
PICTURE
  fi
  local first each
  first=$(printf '%-5s %-15s' rs01 "$(lab_address 1 "$family")")
  each=$(printf '%-5s %-15s' "$last" "$(lab_address "$servers" "$family")")
  cat <<PICTURE
                                           |
                             +-------------+-------------+
            real servers     |   $first   |
                             |    ...                    |
                             |   $each   |
                             +---------------------------+
PICTURE
  case $methods in
    nat) printf '%28s default via %s\n' '' "$inside" ;;
    dr | tun)
      printf '%28s default via %s, VIP on lo\n' '' "$gateway"
      ;;
    plain) printf '%28s default via %s\n' '' "$gateway" ;;
    *)
      printf '%28s one after the other: %s\n' '' "${methods//,/, }"
      ;;
  esac
}

lab_way() {
  local method=$1 family=${2:-4} tunnel=${3:-ipip} client vip dest director
  if ((family == 6)); then
    client=$lab_client6 vip=[$lab_vip6]:80 dest=$(lab_address 1 6)
    director=$lab_net6:1
  else
    client=$lab_client vip=$lab_vip:80 dest=$(lab_address 1)
    director=$lab_net.1
  fi
  local as_dest=$dest:80
  ((family == 4)) || as_dest=[$dest]:80
  _way 1 "$client > $vip" "the client asks the VIP"
  case $method in
    nat)
      _way 2 "$client > $as_dest" "director writes rs01's address, port"
      _way 3 "$as_dest > $client" "rs01's default route is the director"
      _way 4 "$vip > $client" "director writes the VIP back"
      ;;
    dr)
      _way 2 "$client > $vip" "director writes only MAC addresses"
      _way 3 "$vip > $client" "rs01 as the VIP, past the director"
      ;;
    tun)
      _way 2 "$director > $dest ${tunnel^^}" "director puts a header before the"
      _way ' ' "  $client > $vip" "  packet, which rs01 takes off"
      _way 3 "$vip > $client" "rs01 as the VIP, past the director"
      ;;
  esac
}

_way() { printf '  %s  %-37s %s\n' "$1" "$2" "$3"; }
