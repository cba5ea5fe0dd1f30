# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the tree needs from Debian 12, and its installation. The second run asks
# dpkg only: it takes no time and needs no network. Needs common.sh, progress.sh.

# shellcheck disable=SC2034  # for those who source this file
packages_build=(
  cmake ninja-build g++ clang llvm pkg-config
  libc6-dev libbpf-dev libelf-dev libabsl-dev libpopt-dev libmnl-dev
  nlohmann-json3-dev
  bpftool libgtest-dev libgmock-dev
)
# shellcheck disable=SC2034
packages_lab=(
  nginx-light libnginx-mod-http-echo wrk curl iproute2 ethtool jq procps
  util-linux ca-certificates netbase python3 python3-scapy clang libc6-dev
  bpftool dnsmasq-base bind9-dnsutils iperf3 iputils-ping traceroute tcpdump
  ldirectord
)
# shellcheck disable=SC2034
packages_bench=(nftables conntrack haproxy)
# shellcheck disable=SC2034
packages_check=(shellcheck clang-format)
# shellcheck disable=SC2034
packages_picture=(python3 python3-matplotlib)
# shellcheck disable=SC2034
packages_vm=(qemu-system-x86 busybox-static kmod cpio xz-utils ipvsadm)

packages_missing() {
  local package
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == \
      installed ]] || printf '%s\n' "$package"
  done
}

# nginx and ldirectord come with services. The lab starts its own processes, in
# its own namespaces, so nothing may listen on the host or work its tables, now
# or after a reboot. Who had them before keeps them as they were.
_packages_install() {
  local policy=/usr/sbin/policy-rc.d made='' service new
  new=$(packages_missing nginx ldirectord)
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made=$policy
    # shellcheck disable=SC2064  # the value of now
    trap "rm -f '$made'" EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  apt-get -qq -y --no-install-recommends install "$@"
  for service in $new; do
    [[ -z $(packages_missing "$service") ]] || continue
    update-rc.d "$service" disable >/dev/null 2>&1 || true
    [[ ! -d /run/systemd/system ]] || systemctl -q disable "$service" || true
  done
}

# install_packages PACKAGE...
install_packages() {
  local missing
  mapfile -t missing < <(packages_missing "$@" | sort -u)
  ((${#missing[@]})) || return 0
  [[ $EUID -eq 0 ]] || die "not installed: ${missing[*]}; run as root once"
  printf '%s\n' "missing: ${missing[*]}" | fold -s -w 76 | sed 's/^/  /'
  step "install ${#missing[@]} Debian packages" _packages_install "${missing[@]}"
}
