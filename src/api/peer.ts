// Who is at the other end of a Unix socket, as the kernel says it (unix(7), SO_PEERCRED): recorded when the peer connected,
// and nothing that the peer can choose. Node has no call for it; koffi reaches the C library that the process has loaded.

import type { Socket } from 'node:net'
import koffi from 'koffi'
import { apiFault } from './errors.js'

export interface Peer {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

// asm-generic/socket.h, which x86-64, arm64 and riscv64 share; struct ucred is three 32-bit numbers.
const SOL_SOCKET = 1
const SO_PEERCRED = 17
const UCRED_BYTES = 12

type Getsockopt = (fd: number, level: number, name: number, value: Buffer, length: Buffer) => number
let getsockopt: Getsockopt | undefined

/** Throws API_PEER when the kernel does not say; then the connection must not be served. */
export function peerOf(socket: Socket): Peer {
  const { fd } = (socket as unknown as { readonly _handle?: { readonly fd?: number } })._handle ?? {}
  if (fd === undefined || fd < 0) throw apiFault('API_PEER', { why: 'the connection has no descriptor' })
  getsockopt ??= koffi
    .load(null)
    .func('int getsockopt(int fd, int level, int name, void *value, void *length)') as Getsockopt
  const value = Buffer.alloc(UCRED_BYTES)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(UCRED_BYTES)
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, length) !== 0 || length.readUInt32LE() !== UCRED_BYTES)
    throw apiFault('API_PEER', { why: `getsockopt: errno ${koffi.errno()}` })
  return { pid: value.readInt32LE(0), uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) }
}
