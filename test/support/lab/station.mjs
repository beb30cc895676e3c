// A process inside one network namespace of the laboratory: real servers and client probes, driven over standard input and
// output. Takes one JSON request a line ({id, op, ...}), gives one JSON answer a line ({id, result} or {id, error}).
// Plain JavaScript, because it runs as a child process without a build. Ends when its input ends, so that it never
// outlives the laboratory. Times are milliseconds since 1970 with a fraction.

import { createInterface } from 'node:readline'
import { download, downloads, httpGet, lookup, poke, stopDownload, tcp, udp } from './probes.mjs'
import { served, serveHttp, serveTcpEcho, serveUdpEcho, stopServing } from './servers.mjs'
import { tcpCounters } from './tcp-counters.mjs'

const OPERATIONS = {
  serveHttp,
  serveTcpEcho,
  serveUdpEcho,
  stopServing,
  served,
  tcp,
  udp,
  httpGet,
  lookup,
  download,
  downloads,
  poke,
  stopDownload,
  tcpCounters,
}

const answer = (message) => process.stdout.write(`${JSON.stringify(message)}\n`)

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const { id, op, ...request } = JSON.parse(line)
    try {
      answer({ id, result: (await OPERATIONS[op](request)) ?? null })
    } catch (error) {
      answer({ id, error: `${op}: ${error.stack ?? error}` })
    }
  })
  .on('close', () => process.exit(0))

answer({ id: 0, result: 'ready' })
