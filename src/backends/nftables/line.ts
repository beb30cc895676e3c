// The line to the kernel: one socket that stays, and calls on the calling thread. A flag is a transaction of a few elements, over in a
// tenth of a millisecond; handed to a thread of the pool it waits for a thread, for a processor, and for one again on its way back, each
// of them as long as the machine is busy. What it can still wait for is the kernel's lock of transactions, while somebody else has it: then
// everything here waits, so that only flags are worth it. What anybody but an operator causes goes aside (aside.ts), and a load
// never goes this way. Questions wait for nobody.

import { nftablesFault } from './errors.js'
import { type KernelElement, packElements } from './kernel-set.js'
import { NftError } from './libnftables.js'
import { native } from './native.js'
import { TABLE } from './scaffold.js'

/** A socket that is opened when it is first needed, of one thread at a time. */
export class Socket {
  handle: unknown

  /** 0, or a negative errno. */
  open(): number {
    if (this.handle !== undefined) return 0
    const out: [unknown] = [null]
    const failed = native().lineOpen(out)
    if (failed === 0) this.handle = out[0]
    return failed
  }

  close(): void {
    if (this.handle !== undefined) native().lineClose(this.handle)
    this.handle = undefined
  }
}

export class Line {
  private readonly socket = new Socket()

  /** One transaction, over when this returns. Throws NftError, and then nothing was changed. */
  apply(elements: readonly KernelElement[]): void {
    const packed = packElements(elements)
    const { lineApply } = native()
    const done = this.socket.open() || (lineApply(this.socket.handle, TABLE, packed, elements.length) as number)
    if (done < 0) throw new NftError(`the kernel refuses the change of ${elements.length} elements: errno ${-done}`)
  }

  /** 1 when the element is there, 0 when it or its set is not, or a negative errno. */
  ask(set: string, key: Uint8Array): number {
    return this.socket.open() || native().lineHas(this.socket.handle, TABLE, set, key, key.length)
  }

  /** Throws NFT_READ. */
  has(set: string, key: Uint8Array): boolean {
    const there = this.ask(set, key)
    if (there < 0) throw nftablesFault('NFT_READ', { what: set, why: `errno ${-there}` })
    return there === 1
  }

  close(): void {
    this.socket.close()
  }
}
