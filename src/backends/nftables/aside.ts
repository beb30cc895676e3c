// The second line: a socket that stays too, for what may wait and must make nobody wait. Learned grants, sessions and what a commit takes from
// them are written over it on a thread of the pool: whoever has the kernel's lock of transactions, for however long, holds up these
// alone, and neither flags nor anything else of the process. One change after another, whoever asks, because a socket is of one
// thread at a time; questions wait for no lock and go over the first line (line.ts).

import { type KernelElement, packElements } from './kernel-set.js'
import { Lane } from './lane.js'
import { NftError } from './libnftables.js'
import { Socket } from './line.js'
import { native, onPool } from './native.js'
import { TABLE } from './scaffold.js'

export class Aside {
  private readonly lane = new Lane()
  private readonly socket = new Socket()

  /** One transaction; nothing for no elements. Rejects with NftError, and then nothing was changed. */
  async change(elements: readonly KernelElement[]): Promise<void> {
    if (elements.length > 0) await this.lane.run(() => this.send(elements))
  }

  private async send(elements: readonly KernelElement[]): Promise<void> {
    const packed = packElements(elements)
    const done =
      this.socket.open() || (await onPool(native().lineApply, this.socket.handle, TABLE, packed, elements.length))
    if (done < 0) throw new NftError(`the kernel refuses the change of ${elements.length} elements: errno ${-done}`)
  }

  /** Once every change that was asked for is over. */
  async close(): Promise<void> {
    await this.lane.idle()
    this.socket.close()
  }
}
