// Lines that an agent sent and that have no place in the copy of its trail: no event, or another one under a number that is taken.
// They are evidence, so each is kept as it came, with what it is and when it came. Bounded; a full file stops the pull.

import { open } from 'node:fs/promises'
import { exportFault } from './export-errors.js'
import type { Finding } from './export-judge.js'

export class Asides {
  constructor(
    private readonly file: string,
    private readonly maxBytes: number,
  ) {}

  /** On return it is on stable storage. `line`: one character an octet. Throws EXPORT_ASIDE_FULL, and what the system says. */
  async keep(line: string, { found, chain, fromSequence: sequence }: Finding, atMs: number): Promise<void> {
    const octets = Buffer.from(line, 'latin1').toString('base64')
    const entry = `${JSON.stringify({ at_ms: atMs, found, chain, sequence, octets })}\n`
    const handle = await open(this.file, 'a', 0o600)
    try {
      const { size } = await handle.stat()
      if (size + entry.length > this.maxBytes) throw exportFault('EXPORT_ASIDE_FULL', { file: this.file })
      await handle.writeFile(entry)
      await handle.sync()
    } finally {
      await handle.close()
    }
  }
}
