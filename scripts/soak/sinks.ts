// The sinks of the soak: a file on a small disk of its own that is filled now and then, and a receiver over HTTP that is
// killed and started again. At the end what each of them has is held against the journal: every event, once after those
// that came again are left out, in order.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Receiver } from '../../test/support/agent/receiver.js'
import type { RunningAgent } from '../../test/support/agent/running.js'

const PORT = 8088
/** Of agent.yaml. A journal that keeps little, so that two hours retire segments all the time. */
export const SINKS = `retention: {segment_bytes: 1048576, keep_bytes: 6291456}
heartbeat_seconds: 10
sinks:
  - {name: archive, kind: file, path: archive/events.ndjson, rotate_bytes: 4194304, keep_files: 10000}
  - {name: siem, kind: http, url: "http://127.0.0.1:${PORT}/"}
`

interface Seen {
  readonly metadata: { readonly uid: string; readonly sequence: number }
  readonly status_code?: string
}

export class SinkSide {
  readonly receiver: Receiver
  private readonly archive: string

  private constructor(agent: RunningAgent) {
    this.archive = agent.path('archive')
    this.receiver = new Receiver(agent.namespace, PORT, agent.path('received.ndjson'))
  }

  static async prepare(agent: RunningAgent): Promise<SinkSide> {
    const side = new SinkSide(agent)
    mkdirSync(side.archive)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256m', 'tmpfs', side.archive])
    await side.receiver.start()
    return side
  }

  fill(): void {
    try {
      writeFileSync(join(this.archive, 'filler'), Buffer.alloc(512 << 20))
    } catch {
      // That it is full is the point.
    }
  }
  free(): void {
    rmSync(join(this.archive, 'filler'), { force: true })
  }

  /** What is wrong with what the sinks have, and a line for people about each. */
  reconcile(lastSequence: number): { readonly wrong: readonly string[]; readonly say: readonly string[] } {
    const rotated = readdirSync(this.archive).filter((name) => name !== 'filler')
    // Rotated files by number, then the one that is written to.
    const files = [...rotated.filter((name) => /\d$/.test(name)).sort(), 'events.ndjson']
    const seen = { archive: files.map((name) => join(this.archive, name)), siem: [this.receiver.file] }
    const wrong: string[] = []
    const say: string[] = []
    for (const [sink, paths] of Object.entries(seen)) {
      const events = paths.filter((path) => existsSync(path)).flatMap((path) => eventsOf(path))
      const first = new Map<string, number>()
      for (const { metadata } of events) if (!first.has(metadata.uid)) first.set(metadata.uid, metadata.sequence)
      const sequences = [...first.values()]
      const jump = sequences.findIndex((sequence, i) => sequence !== i + 1)
      if (jump >= 0) wrong.push(`${sink}: event ${jump + 1} of it has sequence ${sequences[jump]}`)
      if (sequences.length !== lastSequence) wrong.push(`${sink}: ${sequences.length} events, journal ${lastSequence}`)
      const coded = (code: string): number => events.filter((event) => event.status_code === code).length
      const beats = coded('heartbeat')
      if (beats === 0) wrong.push(`${sink}: no heartbeat`)
      const again = events.length - sequences.length
      const told = `${coded('sink.failing')} outages begun, ${coded('sink.recovered')} ended`
      say.push(
        `${sink}: ${sequences.length} of ${lastSequence} events, ${again} came again, ${beats} heartbeats, ${told}`,
      )
    }
    return { wrong, say }
  }

  async close(): Promise<void> {
    await this.receiver.stop()
    execFileSync('umount', ['-l', this.archive])
  }
}

/** A line that a kill of the receiver tore is not counted: it was not answered, and comes again. */
function eventsOf(path: string): Seen[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as Seen]
      } catch {
        // Torn, as said above, or the empty text after the last line feed.
        return []
      }
    })
}
