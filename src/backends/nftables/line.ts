// The line to the kernel: one socket that stays, and calls on the calling thread. A flag, a learned grant or a session is a transaction
// of a few elements, over in a tenth of a millisecond; handed to a thread of the pool it waits for a thread, for a processor, and for one
// again on its way back, each of them as long as the machine is busy. What it can still wait for is the kernel's lock of transactions,
// while somebody else has it: then everything here waits, which is why loads do not go this way, and come in small pieces. Questions
// wait for nobody.

import { nftablesFault } from './errors.js'
import { applyElements, type KernelElement, packElements } from './kernel-set.js'
import { NftError } from './libnftables.js'
import { native } from './native.js'
import { TABLE } from './scaffold.js'

/**
 * Elements that are changed, or asked for, while everything else of the process waits: a tenth of a millisecond in the kernel, and less than one
 * in all. Of many more the change costs far more than the thread of the pool that then makes it.
 */
export const SHORT = 64

export class Line {
  private handle: unknown

  /** 0, or a negative errno. */
  private open(): number {
    if (this.handle !== undefined) return 0
    const out: [unknown] = [null]
    const failed = native().lineOpen(out)
    if (failed === 0) this.handle = out[0]
    return failed
  }

  /** One transaction, over when this returns. Throws NftError, and then nothing was changed. */
  apply(elements: readonly KernelElement[]): void {
    const packed = packElements(elements)
    const done = this.open() || native().lineApply(this.handle, TABLE, packed, elements.length)
    if (done < 0) throw new NftError(`the kernel refuses the change of ${elements.length} elements: errno ${-done}`)
  }

  /** One transaction, a long one on a thread of the pool; nothing for no elements. Rejects with NftError, and then nothing was changed. */
  async change(elements: readonly KernelElement[]): Promise<void> {
    if (elements.length > SHORT) await applyElements(elements)
    else if (elements.length > 0) this.apply(elements)
  }

  /** 1 when the element is there, 0 when it or its set is not, or a negative errno. */
  ask(set: string, key: Uint8Array): number {
    return this.open() || native().lineHas(this.handle, TABLE, set, key, key.length)
  }

  /** Throws NFT_READ. */
  has(set: string, key: Uint8Array): boolean {
    const there = this.ask(set, key)
    if (there < 0) throw nftablesFault('NFT_READ', { what: set, why: `errno ${-there}` })
    return there === 1
  }

  close(): void {
    if (this.handle !== undefined) native().lineClose(this.handle)
    this.handle = undefined
  }
}
