# What systemd does for a service of Type=notify with WatchdogSec and a socket unit, as far as an agent can tell: gives it a
# socket for sd_notify, a watchdog that ends it with SIGABRT, and a listening socket as descriptor 3. Every datagram and the
# end of the process is a line on the error output, in the form of the agent's own log.
#
# service-manager.py NOTIFY_SOCKET WATCHDOG_SECONDS LISTEN_SOCKET|- COMMAND...

import ctypes, json, os, resource, select, signal, socket, sys, time

notify, watchdog, listen, command = sys.argv[1], float(sys.argv[2]), sys.argv[3], sys.argv[4:]


def tell(event, **detail):
    os.write(2, (json.dumps({"level": "info", "event": event, "detail": detail}) + "\n").encode())


def bound(kind, path):
    if not path.startswith("@") and os.path.exists(path):
        os.remove(path)
    made = socket.socket(socket.AF_UNIX, kind)
    made.bind("\0" + path[1:] if path.startswith("@") else path)
    return made


heard = bound(socket.SOCK_DGRAM, notify)
heard.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
listening = None
if listen != "-":
    listening = bound(socket.SOCK_STREAM, listen)
    os.chmod(listen, 0o600)
    listening.listen(64)

main = os.fork()
if main == 0:
    # PR_SET_PDEATHSIG (sys/prctl.h): nothing is left behind when the test ends this process.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ.update(NOTIFY_SOCKET=notify, WATCHDOG_USEC=str(int(watchdog * 1e6)), WATCHDOG_PID=str(os.getpid()))
    if listening:
        os.dup2(listening.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="sluice-agent")
    os.execvp(command[0], command)

for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda received, _frame: os.kill(main, received))
tell("main", pid=main)
ready, alive = False, time.monotonic()
while True:
    if select.select([heard], [], [], 0.2)[0]:
        data, control, _flags, _from = heard.recvmsg(65536, socket.CMSG_SPACE(12))
        sender = int.from_bytes(control[0][2][:4], sys.byteorder)
        lines = data.decode().split("\n")
        tell("notify", sender=sender, lines=lines)
        if sender == main and "READY=1" in lines:
            ready = True
        if sender == main and ("READY=1" in lines or "WATCHDOG=1" in lines):
            alive = time.monotonic()
        continue
    ended, status = os.waitpid(main, os.WNOHANG)
    if ended:
        tell("main-ended", status=os.waitstatus_to_exitcode(status))
        sys.exit(0)
    if ready and watchdog > 0 and time.monotonic() - alive > watchdog:
        tell("watchdog-expired")
        os.kill(main, signal.SIGABRT)
        ready = False
