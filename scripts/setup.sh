#!/bin/bash
# Installs what building and testing need and is not there: Debian packages (asks apt only for what is missing, and only as
# root), then the npm packages of the lockfile (only when node_modules differs from it). Says what it does; says nothing when
# everything is there. Install scripts of packages are not run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  printf 'setup: %s\n' "$1" >&2
  exit 1
}

# One line a purpose.
PACKAGES=(
  gcc libc6-dev linux-libc-dev          # src/native: the C parts
  clang llvm libbpf-dev libelf-dev zlib1g-dev  # src/native/bpf: BPF programs and their loader
  libmnl-dev libnfnetlink-dev libnetfilter-log-dev  # src/native: netlink, denied packets
  libfuse3-dev fuse3 pkg-config         # src/native/vault: volumes served through FUSE
  nftables libnftables1                 # the fence, and the library that loads it
  iproute2 conntrack ethtool iputils-ping tcpdump  # namespaces, probes and what tests look at
  git util-linux                        # bundles from Git repositories, read under limits
)
# `setup.sh tests` also installs what only the suites talk to.
[ "${1:-}" != tests ] || PACKAGES+=(
  qemu-system-x86 qemu-utils busybox-static cpio kmod  # guests with a kernel of their own, and their disks
  gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static  # the DOCA shim as on the DPU's Arm cores
  docker-registry openssl               # registries and TLS servers
  nats-server                           # a sink of the trail
  python3                               # calls on files that Node does not have
  bpftool                               # programs, links and maps of the kernel, looked at by somebody else
  curl jq                               # commands of the runbook
  fio                                   # data written through a volume, read back and verified
  e2fsprogs                             # a file system that folds case
  openssh-server                        # Git over ssh
  unbound ldnsutils bind9-dnsutils      # a real resolver, signed zones, dig
  iodine dns2tcp                        # tunnels that must not get through
  chromium                              # the bench's report, looked at in a browser
  iperf3                                # a small run of the bench
  iptables ipset                        # what one would otherwise write by hand, in a guest
  libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients  # machines by a libvirt of the suite's own
)
# Volumes of guests: a package of its own from Debian 13 on, before a part of qemu-system-common.
[ "${1:-}" != tests ] || ! apt-cache show virtiofsd >/dev/null 2>&1 || PACKAGES+=(virtiofsd)
# `setup.sh bench` also installs what the bench measures with, and what it compares with.
[ "${1:-}" != bench ] || PACKAGES+=(
  iperf3                                # streams
  iptables ipset                        # what one would otherwise write by hand
  fio                                   # volumes
  unbound dnsperf                       # names, asked directly and through the mediator
)

node_ok() { node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; }
command -v node >/dev/null && command -v npm >/dev/null || fail 'Node and npm are not installed; Node 20.19 or later is needed'
node_ok || fail "Node $(node --version) is too old; 20.19 or later is needed"

missing=()
if command -v dpkg-query >/dev/null; then
  for package in "${PACKAGES[@]}"; do
    state=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
  done
else
  fail "this is no Debian or Ubuntu machine; install what corresponds to: ${PACKAGES[*]}"
fi
if [ ${#missing[@]} -gt 0 ]; then
  [ "$(id -u)" = 0 ] || fail "packages are missing; run as root: apt-get install --no-install-recommends ${missing[*]}"
  printf 'setup: installing %s\n' "${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  # Nothing that is installed here is to be started as a service of this machine.
  policy=/usr/sbin/policy-rc.d
  if [ -e "$policy" ]; then
    trap 'rm -f "$log"' EXIT
  else
    trap 'rm -f "$log" "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
  fi
  # A list of packages that is there and current enough saves the update.
  if ! apt-get install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
    { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 || {
      tail -n 20 "$log" >&2
      fail 'apt-get could not install the packages; its last lines are above'
    }
  fi
fi

# The lockfile that npm keeps inside node_modules says what is there.
current() {
  node -e '
    const { readFileSync } = require("node:fs")
    const read = (path) => JSON.parse(readFileSync(path, "utf8")).packages
    let there
    try { there = read("node_modules/.package-lock.json") } catch { process.exit(1) }
    const stale = ([path, row]) => path !== "" && !row.optional && there[path]?.version !== row.version
    process.exit(Object.entries(read("package-lock.json")).some(stale) ? 1 : 0)'
}
if ! current; then
  printf 'setup: installing npm packages\n'
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
fi
