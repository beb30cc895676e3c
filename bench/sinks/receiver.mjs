// A receiver that fails half of the time, in a process of its own: of every two batches one is answered with an error, and of
// those every other one after it was taken. Remembers what it took by sequence number; GET / tells what it has. Ends with its input, which
// ends with whoever started it, however that ends.

import { createServer } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { placeOf } from '../../dist/audit/sinks/spool.js'

/** Ids by sequence number. */
const uids = []
const counts = { requests: 0, failed: 0, events: 0, distinct: 0, repeated: 0, differing: 0, outOfOrder: 0, highest: 0 }
let seed = 0x5eed
/** A linear congruential generator (Numerical Recipes): the same run every time. */
const chance = () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}

function take(body) {
  for (const line of body.split('\n')) {
    const place = line === '' ? undefined : placeOf(line)
    if (!place) continue
    const { sequence, uid } = place
    counts.events++
    const held = uids[sequence]
    if (held === undefined) {
      uids[sequence] = uid
      counts.distinct++
      if (sequence < counts.highest) counts.outOfOrder++
      counts.highest = Math.max(counts.highest, sequence)
    } else if (held === uid) counts.repeated++
    else counts.differing++
  }
}

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.end(JSON.stringify(counts))
    return
  }
  const chunks = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => {
    const draw = chance()
    counts.requests++
    if (draw >= 0.25) take(gunzipSync(Buffer.concat(chunks)).toString('utf8'))
    if (draw < 0.5) counts.failed++
    response.writeHead(draw < 0.5 ? 503 : 200).end()
  })
})
process.stdin.resume().once('end', () => process.exit())
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
