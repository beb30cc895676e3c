# Runs a command under what a systemd unit leaves it, as far as a process can do that to itself: system calls, address
# families, kinds of namespaces, a read-only file system with its exceptions, devices, limits. Capabilities are taken away by
# setpriv before. What the unit says and this program does not know is printed and refused, so that nothing is left out in
# silence; what only makes sense for a whole machine is named in MACHINE.
#
# under-unit.py UNIT EXTRA_WRITABLE_PATH[,UNIT_PATH=STANDS_FOR_IT...] COMMAND...

import ctypes, os, re, resource, struct, subprocess, sys

unit, command = sys.argv[1], sys.argv[3:]
writable, *standing = sys.argv[2].split(",")
stands = dict(pair.split("=", 1) for pair in standing)
libc = ctypes.CDLL(None, use_errno=True)
text = open(unit).read()
section = text.split("[Service]")[1].split("[Install]")[0]
said = {}
for line in section.splitlines():
    if line and not line.startswith("#"):
        key, value = line.split("=", 1)
        said.setdefault(key, []).append(value)

# Start, stop and supervision; directories that are made; what setpriv did; and what a laboratory cannot have of its own
# (clock, hostname, kernel log and modules, keyrings are denied to it by the system calls and rights above already).
MACHINE = set("""Type NotifyAccess TimeoutStartSec TimeoutStopSec WatchdogSec ExecStart ExecStartPre Restart RestartSec RemainAfterExit
SuccessExitStatus OOMScoreAdjust StateDirectory StateDirectoryMode LogsDirectory LogsDirectoryMode
CapabilityBoundingSet AmbientCapabilities ProtectClock ProtectKernelLogs ProtectKernelModules
ProtectHostname ProtectHome PrivateTmp KeyringMode RestrictRealtime RestrictSUIDSGID LockPersonality SystemCallArchitectures
ProtectKernelTunables SystemCallErrorNumber""".split())


def take(key, fallback=""):
    return " ".join(said.pop(key, [fallback]))


def check(result, what):
    if result != 0:
        sys.exit(f"under-unit: {what}: {os.strerror(ctypes.get_errno())}")


def mount(source, target, kind, flags, data=None):
    check(libc.mount(source.encode(), target.encode(), kind and kind.encode(), flags, data and data.encode()), f"mount {target}")


MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
CLONE = {"mnt": 0x20000, "net": 0x40000000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000, "pid": 0x20000000}
kept = {"rw", "ro", "relatime", "noatime", "lazytime", "nodiratime"}


def flags_of(options):
    return (MS_NOSUID if "nosuid" in options else 0) | (MS_NODEV if "nodev" in options else 0) | (MS_NOEXEC if "noexec" in options else 0)


check(libc.unshare(CLONE["mnt"]), "unshare")
mount("none", "/", None, MS_REC | MS_PRIVATE)
if take("ProtectSystem") != "strict":
    sys.exit("under-unit: ProtectSystem=strict is expected")
granted = [path.lstrip("-") for path in take("ReadWritePaths").split()]
open_to_write = [writable] + [stands.get(path, path) for path in granted]
open_to_write = [path for path in open_to_write if os.path.exists(path)]
for path in open_to_write:
    mount(path, path, None, MS_BIND | MS_REC)
for line in open("/proc/self/mounts"):
    _source, target, kind, options = line.split()[:4]
    if any(target == path or target.startswith(path + "/") for path in open_to_write):
        continue
    # ProtectSystem leaves /dev, /proc and /sys; ProtectKernelTunables is off.
    if re.match(r"^/(dev|proc|sys)(/|$)", target):
        continue
    flags = MS_REMOUNT | MS_BIND | MS_RDONLY | flags_of(options.split(","))
    libc.mount(b"none", target.encode(), None, flags, None)
if take("ProtectControlGroups") == "yes":
    for line in open("/proc/self/mounts"):
        _source, target, kind, options = line.split()[:4]
        if kind in ("cgroup", "cgroup2"):
            mount("none", target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | flags_of(options.split(",")))
try:
    open("/usr/under-unit", "w")
    sys.exit("under-unit: /usr can be written")
except OSError:
    pass  # as it must be
if take("PrivateDevices") == "yes":
    # Made beside it, because making devices is a right that the unit does not leave.
    mount("tmpfs", "/mnt", "tmpfs", MS_NOSUID | MS_NOEXEC)
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        open("/mnt/" + name, "w").close()
        mount("/dev/" + name, "/mnt/" + name, None, MS_BIND)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2")):
        os.symlink(target, "/mnt/" + name)
    mount("/mnt", "/dev", None, MS_BIND | MS_REC)
if take("ProtectProc") == "invisible":
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=invisible")
for key, limit in (("LimitCORE", resource.RLIMIT_CORE), ("LimitNOFILE", resource.RLIMIT_NOFILE), ("LimitMEMLOCK", resource.RLIMIT_MEMLOCK)):
    value = take(key)
    if value:
        number = resource.RLIM_INFINITY if value == "infinity" else int(value)
        hard = resource.getrlimit(limit)[1]
        # Raising is a right of whoever starts the unit; what is there already is not raised here.
        if hard == resource.RLIM_INFINITY or (number != resource.RLIM_INFINITY and number <= hard):
            resource.setrlimit(limit, (number, number))
os.umask(int(take("UMask", "22"), 8))

numbers = {}
header = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"
for line in open(header):
    found = re.match(r"#define __NR_(\w+) (\d+)", line)
    if found:
        numbers[found[1]] = int(found[2])


def calls(name):
    if not name.startswith("@"):
        return {name}
    out = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True).stdout
    return set().union(*(calls(word) for line in out.splitlines()[1:] for word in line.split("#")[0].split()))


allowed = set()
for words in said.pop("SystemCallFilter", []):
    listed = set().union(*(calls(word) for word in words.lstrip("~").split()))
    allowed = allowed - listed if words.startswith("~") else allowed | listed
# exec, exit, signals and the rest of @default are always there (systemd.exec(5)).
allowed |= calls("@default")

LD, JEQ, JSET, RET = 0x20, 0x15, 0x45, 0x06
ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38
NR, ARCH, ARG0, ARG1 = 0, 4, 16, 24


def op(code, k, yes=0, no=0):
    return struct.pack("HBBI", code, yes, no, k)


def install(body):
    program = [op(LD, ARCH), op(JEQ, 0xC000003E, 1, 0), op(RET, EPERM), op(LD, NR)] + body
    octets = ctypes.create_string_buffer(b"".join(program))
    fprog = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(octets))
    check(libc.prctl(22, 2, ctypes.create_string_buffer(fprog), 0, 0), "seccomp")


def by_argument(name, offset, judge):
    """Judges one system call by the low half of one argument; every other passes."""
    return [op(JEQ, numbers[name], 0, len(judge) + 1), op(LD, offset)] + judge


if take("NoNewPrivileges") != "yes":
    sys.exit("under-unit: NoNewPrivileges=yes is expected")
families, namespaces = take("RestrictAddressFamilies").split(), take("RestrictNamespaces").split()
unknown = set(said) - MACHINE
if unknown:
    sys.exit(f"under-unit: no idea of {', '.join(sorted(unknown))}")
check(libc.prctl(38, 1, 0, 0, 0), "no_new_privs")
FAMILY = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
judge = [part for name in families for part in (op(JEQ, FAMILY[name], 0, 1), op(RET, ALLOW))] + [op(RET, EPERM)]
install(by_argument("socket", ARG0, judge) + [op(RET, ALLOW)])
denied = sum(flag for name, flag in CLONE.items() if namespaces == ["yes"] or name not in namespaces)
judge = [op(JSET, denied, 0, 1), op(RET, EPERM), op(RET, ALLOW)]
for name, offset in (("unshare", ARG0), ("clone", ARG0), ("setns", ARG1)):
    install(by_argument(name, offset, judge) + [op(RET, ALLOW)])
# Its flags lie in memory, where a filter cannot look: as systemd does, callers are sent to clone.
install([op(JEQ, numbers["clone3"], 0, 1), op(RET, ENOSYS), op(RET, ALLOW)])
body = [part for name in sorted(allowed) if name in numbers for part in (op(JEQ, numbers[name], 0, 1), op(RET, ALLOW))]
install(body + [op(RET, EPERM)])
os.execvp(command[0], command)
