// Dead letters: events that the receiver of a sink refuses for good, each with the reason, in a file beside the cursor. An
// event is settled only after its letter is on stable storage. The file is bounded; a full one is no reason to throw events
// away, so the sink then stands still until somebody has looked.

import { open } from 'node:fs/promises'
import type { SinkLine } from './sink.js'

export class DeadLetters {
  constructor(
    private readonly file: string,
    private readonly maxBytes: number,
  ) {}

  /** False when there is no room for it. Throws what the system says. */
  async keep(line: SinkLine, why: string, atMs: number): Promise<boolean> {
    const letter = `{"at_ms":${atMs},"why":${JSON.stringify(why)},"event":${line.text}}\n`
    const handle = await open(this.file, 'a', 0o600)
    try {
      const { size } = await handle.stat()
      if (size + Buffer.byteLength(letter) > this.maxBytes) return false
      await handle.writeFile(letter)
      await handle.sync()
      return true
    } finally {
      await handle.close()
    }
  }
}
