// Telling the service manager how the agent is (sd_notify(3)): one datagram of `KEY=value` lines to the socket that the
// environment names. Nothing waits for it and nothing fails by it: an agent that nobody supervises is none the worse.
//
// The watchdog is told by whoever knows that the loop went round, never by a timer: a timer would go on in a process whose
// loop waits for ever. Node has no datagrams on Unix sockets; koffi reaches the C library that the process has loaded.

import koffi from 'koffi'

export interface ServiceManager {
  /** Sends lines such as `READY=1`. Never throws and never waits; what cannot be sent is lost. */
  notify(...lines: readonly string[]): void
  /** The service manager restarts the process when it hears nothing for that long; undefined: it does not. */
  readonly watchdogMs?: number
  close(): void
}

// sys/socket.h and fcntl.h of Linux, the same on x86-64, arm64 and riscv64.
const AF_UNIX = 1
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
/** sun_path: 108 octets behind the family (unix(7)). */
const MAX_PATH = 108

interface Libc {
  readonly socket: (domain: number, type: number, protocol: number) => number
  readonly sendto: (fd: number, data: Buffer, size: number, flags: number, to: Buffer, length: number) => number
  readonly close: (fd: number) => number
}
let libc: Libc | undefined

function load(): Libc {
  const library = koffi.load(null)
  return {
    socket: library.func('int socket(int domain, int type, int protocol)') as Libc['socket'],
    sendto: library.func(
      'long sendto(int fd, const void *data, size_t size, int flags, const void *to, uint32_t length)',
    ) as Libc['sendto'],
    close: library.func('int close(int fd)') as Libc['close'],
  }
}

/** undefined where nobody supervises this process, or by a kind of socket that is not ours to use (vsock). */
export function openServiceManager(
  environment: (name: string) => string | undefined,
  pid: number,
): ServiceManager | undefined {
  const address = addressOf(environment('NOTIFY_SOCKET') ?? '')
  if (!address) return undefined
  libc ??= load()
  const { socket, sendto, close } = libc
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (fd < 0) return undefined
  let open = true
  const watchdogMs = watchdogOf(environment, pid)
  return {
    notify: (...lines) => {
      const data = Buffer.from(lines.map((line) => line.replace(/\n/g, ' ')).join('\n'))
      if (open) sendto(fd, data, data.length, MSG_DONTWAIT | MSG_NOSIGNAL, address, address.length)
    },
    ...(watchdogMs === undefined ? {} : { watchdogMs }),
    close: () => {
      if (open) close(fd)
      open = false
    },
  }
}

/** A struct sockaddr_un: a path, or with `@` a name of the abstract kind, whose first octet is zero. */
function addressOf(named: string): Buffer | undefined {
  if (!/^[/@]./.test(named)) return undefined
  const path = Buffer.from(named)
  if (path.length >= MAX_PATH) return undefined
  const abstract = named.startsWith('@')
  if (abstract) path[0] = 0
  const family = Buffer.from(Uint16Array.of(AF_UNIX).buffer)
  return Buffer.concat([family, path, Buffer.alloc(abstract ? 0 : 1)])
}

/** sd_watchdog_enabled(3): another process's watchdog is none of ours. */
function watchdogOf(environment: (name: string) => string | undefined, pid: number): number | undefined {
  const usec = environment('WATCHDOG_USEC') ?? ''
  const whose = environment('WATCHDOG_PID')
  if (!/^[1-9]\d{0,15}$/.test(usec) || (whose !== undefined && whose !== String(pid))) return undefined
  return Number(usec) / 1_000
}

/** Of the time that the watchdog leaves, between two signs of life. */
const SIGNS = 4

/**
 * What to call when the loop went round, with the age of the oldest command that is under way. A loop that turns beside a
 * command that has run for longer than the watchdog's time is stuck as well, and then there is no sign of life.
 */
export function signOfLife(
  manager: ServiceManager,
  monotonicMs: () => number,
  stuck: (ageMs: number) => void,
): (oldestMs: number) => void {
  const { watchdogMs } = manager
  if (watchdogMs === undefined) return () => undefined
  let lastMs = Number.NEGATIVE_INFINITY
  let told = false
  return (oldestMs) => {
    if (oldestMs >= watchdogMs) {
      if (!told) stuck(oldestMs)
      told = true
      return
    }
    told = false
    const nowMs = monotonicMs()
    if (nowMs - lastMs < watchdogMs / SIGNS) return
    lastMs = nowMs
    manager.notify('WATCHDOG=1')
  }
}
