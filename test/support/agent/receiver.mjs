// A receiver of events over HTTP inside a namespace: what arrives is appended to a file, and every seventh batch is answered
// with an error after it was kept, so that the sender delivers it again. `node receiver.mjs PORT FILE`; killed at will.

import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { gunzipSync } from 'node:zlib'

const [port, file] = process.argv.slice(2)
let batches = 0
createServer((request, response) => {
  const chunks = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => {
    appendFileSync(file, gunzipSync(Buffer.concat(chunks)))
    response.writeHead(++batches % 7 === 0 ? 503 : 200).end()
  })
}).listen(Number(port), '127.0.0.1', () => console.log('listening'))
