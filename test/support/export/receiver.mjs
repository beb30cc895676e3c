// A receiver over HTTP that fails half of the time: `node receiver.mjs PORT FILE SEED`. Of the batches that it fails, it keeps every
// other one all the same before it says 503 or breaks the connection, so that what comes again must be told apart. Every event is on
// the disk before a good answer leaves.

import { closeSync, fdatasyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import { gunzipSync } from 'node:zlib'

const [port, file, seed] = process.argv.slice(2)
const out = openSync(file, 'a+')
const held = readFileSync(file)
// Half a line of a batch that was never answered for.
ftruncateSync(out, held.lastIndexOf(0x0a) + 1)
let state = Number(seed) >>> 0
/** xorshift32: the same choices for the same seed. */
const draw = (below) => {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  state >>>= 0
  return state % below
}
const keep = (octets) => {
  for (let at = 0; at < octets.length; ) at += writeSync(out, octets, at)
  fdatasyncSync(out)
}
createServer((request, response) => {
  const chunks = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('error', () => undefined) // a sender that was killed
  request.on('end', () => {
    const octets = gunzipSync(Buffer.concat(chunks))
    const way = draw(8)
    if (way < 4 || way === 4 || way === 5) keep(octets)
    if (way < 4) response.writeHead(200).end()
    else if (way % 2 === 0) response.writeHead(503).end()
    else request.socket.destroy()
  })
}).listen(Number(port), '127.0.0.1', () => console.log('listening'))
process.on('exit', () => closeSync(out))
