// A tap interface whose far end is this process: frames are written to it as a virtual machine would send them, and read back
// as it would receive them. No offloads: what comes back must have right checksums.

import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import koffi from 'koffi'

const TUNSETIFF = 0x400454ca
const IFF_TAP = 0x0002
const IFF_NO_PI = 0x1000
const O_RDWR_NONBLOCK = 0o4002

export class Tap {
  private constructor(
    private readonly handle: number,
    readonly name: string,
  ) {}

  static open(name: string): Tap {
    const handle = openSync('/dev/net/tun', O_RDWR_NONBLOCK)
    const request = Buffer.alloc(40)
    request.write(name, 0, 15, 'latin1')
    request.writeUInt16LE(IFF_TAP | IFF_NO_PI, 16)
    const ioctl = koffi.load('libc.so.6').func('int ioctl(int fd, unsigned long request, void *argument)')
    if (ioctl(handle, TUNSETIFF, request) !== 0) throw new Error(`cannot make the tap ${name}`)
    return new Tap(handle, name)
  }

  send(frame: Uint8Array): void {
    writeSync(this.handle, frame)
  }

  /** Frames that have come so far. */
  received(): Uint8Array[] {
    const frames: Uint8Array[] = []
    for (;;) {
      const frame = Buffer.alloc(65_536)
      try {
        frames.push(Uint8Array.from(frame.subarray(0, readSync(this.handle, frame))))
      } catch (error) {
        // EAGAIN: nothing more for now.
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return frames
        throw error
      }
    }
  }

  close(): void {
    closeSync(this.handle)
  }
}
