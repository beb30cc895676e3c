// A process that writes a journal as fast as it can, in batches of random size, closes segments early, and says a line for
// each batch that is on disk: until it is killed. Arguments: the journal, the folder of its lock, key and mark, a name.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { openTrail, witnessed } from '../../dist/agent/trail.js'

const [path, state, name] = process.argv.slice(2)
const random = (length) => randomBytes(length)
const { mark, sealing } = witnessed('spiffe://fleet.example/node/n1', state, random)
const trail = openTrail(path, join(state, 'events.lock'), {
  product: { name: 'sluice', version: 'test' },
  reporter: { uid: 'spiffe://fleet.example/node/n1', hostname: 'n1' },
  nowMs: Date.now,
  random,
  mark,
  sealing: { ...sealing, segmentBytes: 60_000 },
})
let said = 0
for (;;) {
  const facts = Array.from({ length: 1 + (randomBytes(1)[0] % 40) }, () => ({
    kind: 'node-recovered',
    what: 'clock',
    by: name,
    reason: String(++said),
    atMs: Date.now(),
  }))
  await trail.emit(facts)
  const unwritten = trail.unwritten()
  if (unwritten !== undefined) throw new Error(unwritten)
  process.stdout.write(`${said}\n`)
}
