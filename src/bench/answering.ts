// What the machine at the other end says of itself while it is measured towards: how many datagrams arrived there, and how busy its
// processors were. sluice-load tells it to whoever connects to the fourth port (src/native/bench/serve.c), in one line. Where both ends are
// one machine its processors are counted once, by this end. Throws BENCH_PEER when nothing is said, or nothing that can be read.

import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { benchFault } from './errors.js'

export interface Answering {
  /** Since it answers. */
  readonly datagrams: number
  /** CPU time of all its processors since a time of its own; always 0 of this very machine. */
  readonly busySeconds: number
}

/** From the first port. */
const TELL = 3
const LONGEST = 1_024
const WAIT_MS = 5_000
const TICKS = 100

export async function answering(address: string, port: number): Promise<Answering> {
  // untrusted: of whoever answers there
  const said = await line(address, port + TELL).catch(() => '')
  const numbers = /^\{"datagrams":(\d{1,15}),"ticks":(\d{1,15}),"boot":"([0-9a-f-]{36})"\}\n$/.exec(said)
  if (!numbers) throw benchFault('BENCH_PEER', { address, port })
  const [, datagrams, ticks, boot] = numbers
  const here = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() === boot
  return { datagrams: Number(datagrams), busySeconds: here ? 0 : Number(ticks) / TICKS }
}

function line(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect({ host, port })
    socket.setTimeout(WAIT_MS, () => socket.destroy(new Error('it says nothing')))
    socket.setEncoding('latin1')
    socket.on('data', (more: string) => {
      text += more
      if (text.length > LONGEST) socket.destroy(new Error('it says too much'))
    })
    socket.once('end', () => {
      resolve(text)
    })
    socket.once('error', reject)
  })
}
