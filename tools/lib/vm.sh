# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# A guest with another kernel. Needs common.sh, progress.sh, and packages_vm
# installed.
#
#   vm_prepare RELEASE   a kernel in the cache, boot/ and lib/modules/ of its
#                        package: $vm_kernel, $vm_root
#   vm_run COMMAND...    one guest, one command: exits with its code. Reads
#                        $timeout_s, $memory_mb, $rw_dir
#
# The guest's root is this machine's /, read-only over 9p, under an overlay in
# its memory. Modules are loaded when the kernel or modprobe asks for them. One
# guest is one directory in /tmp, which it sees as /run/xlvs-vm:
#   initrd    vm_init.sh and what it needs
#   command   tree, modules, --rw, what to run: one word after the other, each ended by NUL
#   out, err  FIFOs from virtio-serial ports to our own output
#   status    the exit code
#   console   what the kernel said

vm_cache=${XDG_CACHE_HOME:-$HOME/.cache}/xlvs-vm
((EUID != 0)) || vm_cache=/var/cache/xlvs-vm

# --- the kernel ---------------------------------------------------------------

# The newest package of a release that apt knows, without variants.
_vm_package() {
  local release=$1
  shift
  apt-cache "$@" search --names-only "^linux-image-${release//./\\.}\." |
    awk '{ print $1 }' | grep -E -- '^linux-image-[0-9][^-]*(-[0-9]+)?-amd64$' |
    sort -V | tail -n 1
}

# apt's options for backports, from where this machine has its packages; in a
# directory of our own, so that the machine's lists stay as they are.
_vm_backports() {
  local dir=$1 source
  source=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' \
    'Created-By: Packages' 'Component: main' |
    awk '$2 ~ /^[a-z]+$/ { print $1, $2 "-backports main"; exit }')
  [[ -n $source ]] || die "apt has no Debian release in its sources"
  mkdir -p "$dir/lists/partial" "$dir/archives/partial"
  printf 'deb [signed-by=%s] %s\n' \
    /usr/share/keyrings/debian-archive-keyring.gpg "$source" >"$dir/sources"
  vm_apt=(-o "Dir::Etc::SourceList=$dir/sources" -o Dir::Etc::SourceParts=-
    -o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir")
}

# Without drivers of hardware that no guest has, most of the modules. depmod
# would have been the installation's work.
_vm_unpack() {
  local deb=$1 dir=$2 drivers
  dpkg -x "$deb" "$dir"
  drivers=$(compgen -G "$dir/lib/modules/*/kernel/drivers")
  rm -rf "${drivers%/*}/sound" "$drivers"/net/{ethernet,wireless,usb,wwan}
  find "$drivers" -mindepth 1 -maxdepth 1 \
    ! -name net ! -name virtio ! -name char ! -name block -exec rm -rf {} +
  find "$dir/lib/modules" -name '*.ko.xz' -exec xz -d {} +
  depmod -b "$dir" "$(basename "${drivers%/kernel/drivers}")"
}

_vm_fetch() {
  local release=$1 dir=$2 package vm_apt=()
  package=$(_vm_package "$release")
  if [[ -z $package ]]; then
    _vm_backports "$dir/apt"
    apt-get -qq "${vm_apt[@]}" update
    package=$(_vm_package "$release" "${vm_apt[@]}")
  fi
  if [[ -z $package ]]; then
    echo "Debian has no kernel $release: neither this machine's sources (try" \
      "apt-get update) nor backports"
    return 1
  fi
  (cd "$dir" &&
    apt-get -qq "${vm_apt[@]}" -o APT::Sandbox::User=root download "$package")
  _vm_unpack "$dir"/*.deb "$dir"
  rm -rf "$dir"/*.deb "$dir/apt"
}

vm_prepare() {
  local release=$1 lock
  [[ $(uname -m) == x86_64 ]] || die "guests are for x86-64"
  vm_root=$vm_cache/$release
  mkdir -p "$vm_cache"
  exec {lock}>"$vm_cache/lock"
  flock "$lock"
  if [[ ! -d $vm_root ]]; then
    rm -rf "$vm_root.new"
    mkdir -p "$vm_root.new"
    step "download Debian's kernel $release" _vm_fetch "$release" "$vm_root.new"
    mv "$vm_root.new" "$vm_root"
  fi
  exec {lock}>&-
  vm_kernel=$(compgen -G "$vm_root/boot/vmlinuz-*")
}

# --- what starts it -----------------------------------------------------------

# busybox, the modules that 9p and overlayfs need, vm_init.sh.
_vm_initrd() {
  local root=$vm_dir/initrd.d version=${vm_kernel##*/vmlinuz-} kind module
  mkdir -p "$root"/{bin,modules,proc,sys,dev,host,guest,memory,exchange}
  cp "$(command -v busybox)" "$root/bin/busybox"
  cp "$XLVS_ROOT/tools/lib/vm_init.sh" "$root/init"
  modprobe -d "$vm_root" -S "$version" -a --show-depends \
    virtio_pci virtio_console 9pnet_virtio 9p overlay |
    while read -r kind module _; do
      [[ $kind == insmod ]] || continue # else it is built in
      [[ -e $root/modules/${module##*/} ]] && continue
      cp "$module" "$root/modules/"
      printf '%s\n' "${module##*/}" >>"$root/modules/order"
    done
  (cd "$root" && find . | cpio -o -H newc --quiet) >"$vm_dir/initrd"
  rm -rf "$root"
}

vm_machine=(-nodefaults -no-user-config -display none -no-reboot -machine pc
  -cpu max)
# Beside what saves time: a kernel that panics ends the guest.
vm_arguments='console=ttyS0 panic=-1 quiet mitigations=off nokaslr audit=0'
vm_arguments+=' tsc=reliable nowatchdog rcupdate.rcu_expedited=1 no_timer_check'
vm_arguments+=' random.trust_cpu=on'

# Whether a kernel boots under KVM, and not only whether there is a /dev/kvm.
_vm_try_kvm() {
  local said
  [[ -w /dev/kvm ]] || return 1
  said=$(timeout --kill-after=5 20 qemu-system-x86_64 "${vm_machine[@]}" \
    -accel kvm -m 512 -kernel "$vm_kernel" -initrd "$vm_dir/initrd" \
    -append "$vm_arguments xlvs_try" -serial stdio </dev/null 2>&1) || true
  [[ $said == *'xlvs: this kernel boots'* ]]
}

_vm_accel() {
  if [[ ! -s $vm_cache/accel ]]; then
    if _vm_try_kvm; then echo kvm; else echo tcg; fi >"$vm_dir/accel"
    mv "$vm_dir/accel" "$vm_cache/accel"
  fi
  case $(<"$vm_cache/accel") in
    kvm) vm_machine+=(-accel kvm) ;;
    *) vm_machine+=(-accel 'tcg,thread=multi') ;;
  esac
}

# --- a guest ------------------------------------------------------------------

_vm_end() {
  local pid
  for pid in "${vm_pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$vm_dir"
}

# What QEMU is told beside machine and kernel.
_vm_devices() {
  local ro=security_model=none,multidevs=remap,readonly=on
  local rw=security_model=none,multidevs=remap port
  vm_devices=(
    -serial "file:$vm_dir/console"
    -virtfs "local,path=/,mount_tag=host,$ro"
    -virtfs "local,path=$vm_dir,mount_tag=exchange,$rw"
    -device virtio-serial-pci
  )
  for port in out err; do
    vm_devices+=(-chardev "file,id=$port,path=$vm_dir/$port"
      -device "virtserialport,chardev=$port,name=$port")
  done
  [[ -z $rw_dir ]] ||
    vm_devices+=(-virtfs "local,path=$rw_dir,mount_tag=rw,$rw")
}

vm_run() {
  local status='' rc=0 out err
  vm_dir=$(mktemp -d "${TMPDIR:-/tmp}/xlvs-vm.XXXXXX")
  vm_pids=()
  trap _vm_end EXIT
  trap 'exit 130' INT TERM
  _vm_initrd
  _vm_accel
  printf '%s\0' "$XLVS_ROOT" "$vm_root/lib/modules" "$rw_dir" "$@" \
    >"$vm_dir/command"
  mkfifo "$vm_dir/out" "$vm_dir/err"
  cat "$vm_dir/out" &
  out=$!
  cat "$vm_dir/err" >&2 &
  err=$!
  vm_pids=("$out" "$err")
  _vm_devices
  timeout --foreground --kill-after=10 "$timeout_s" \
    qemu-system-x86_64 "${vm_machine[@]}" -smp 2 -m "$memory_mb" \
    -kernel "$vm_kernel" -initrd "$vm_dir/initrd" -append "$vm_arguments" \
    "${vm_devices[@]}" </dev/null >"$vm_dir/qemu" 2>&1 &
  vm_pids+=("$!")
  wait "$!" || rc=$?
  # QEMU may have ended before it opened them: then nobody else ever does.
  [[ -s $vm_dir/status ]] || kill "$out" "$err" 2>/dev/null || true
  wait "$out" "$err" || true
  ((rc != 124 && rc != 137)) || {
    printf '%s: ended after %d s\n' "${0##*/}" "$timeout_s" >&2
    exit 124
  }
  [[ ! -s $vm_dir/status ]] || status=$(<"$vm_dir/status")
  if [[ -z $status ]]; then
    tail -n 30 "$vm_dir/qemu" "$vm_dir/console" >&2 || true
    die "the guest ended before the command did"
  fi
  exit "$status"
}
