// The listening socket that a service manager hands over (sd_listen_fds(3)): descriptors from 3 on, meant for this process
// alone, each with a name. Ours is called `sluice-agent` and must be the socket that agent.yaml names, a listening stream
// socket of the Unix kind: commands look for the agent there and nowhere else. Anything else that was handed over is refused.

import { readFileSync, readlinkSync } from 'node:fs'
import koffi from 'koffi'
import { apiFault } from './errors.js'

export const SOCKET_NAME = 'sluice-agent'
/** SD_LISTEN_FDS_START of sd-daemon.h. */
const FIRST = 3
// fcntl.h of Linux.
const F_SETFD = 2
const FD_CLOEXEC = 1
/** Columns of /proc/net/unix (net/unix/af_unix.c): number, references, protocol, flags, type, state, inode, path. */
const UNIX_LINE = /^\S+: \S+ \S+ (\S+) (\S+) \S+ +(\d+) (\S+)$/
const LISTENS = 0x10000
const STREAM = 1

/** undefined: nothing was handed to this process. Throws API_SOCKET. */
export function handedSocket(
  environment: (name: string) => string | undefined,
  pid: number,
  path: string,
): number | undefined {
  const count = Number(environment('LISTEN_FDS') ?? '0')
  if (environment('LISTEN_PID') !== String(pid) || !(count > 0)) return undefined
  const names = (environment('LISTEN_FDNAMES') ?? '').split(':')
  const at = names.indexOf(SOCKET_NAME)
  if (at < 0 || at >= count || count > 1)
    throw apiFault('API_SOCKET', {
      path,
      why: `the service manager handed over ${names.join(', ')}, and it must be ${SOCKET_NAME} alone`,
    })
  const fd = FIRST + at
  const found = placeOf(fd)
  if (found !== path)
    throw apiFault('API_SOCKET', { path, why: `the service manager listens on ${found ?? 'something else'}` })
  // Children of the agent have no business with it.
  const fcntl = koffi.load(null).func('int fcntl(int fd, int command, int value)') as (...all: number[]) => number
  fcntl(fd, F_SETFD, FD_CLOEXEC)
  return fd
}

/** Where a listening stream socket of the Unix kind is bound; undefined for any other descriptor. */
function placeOf(fd: number): string | undefined {
  const inode = /^socket:\[(\d+)\]$/.exec(linkOf(fd))?.[1]
  for (const line of readFileSync('/proc/net/unix', 'utf8').split('\n')) {
    const [, flags = '', type = '', number, path] = UNIX_LINE.exec(line) ?? []
    if (number !== inode || inode === undefined) continue
    const listens = (Number.parseInt(flags, 16) & LISTENS) !== 0 && Number.parseInt(type, 16) === STREAM
    return listens ? path : undefined
  }
  return undefined
}

function linkOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    // No such descriptor: whoever counted them did not hand it over.
    return ''
  }
}
