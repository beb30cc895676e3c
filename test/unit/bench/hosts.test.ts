// Between hosts: what a server says of itself is read strictly, and two runs are compared whatever the paths are called.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { answering } from '../../../src/bench/answering.js'
import { compareResults } from '../../../src/bench/compare.js'
import type { Results } from '../../../src/bench/results.js'
import { drawnRun } from '../../support/bench/runs.js'

/** A run between hosts: of a drawn one what its fence measured, and no baseline. */
function between(label: string, seed: number, rate: number, address = '10.0.0.2'): Results {
  const { variants, measurements, ...rest } = drawnRun({ seed, rate: () => rate })
  const say = `what stands between this machine and ${address}`
  return {
    ...rest,
    run: { ...rest.run, kind: 'hosts', command: `sluice bench --client ${address} --label ${label}` },
    variants: variants.filter(({ name }) => name === 'ebpf').map((one) => ({ ...one, name: label, say })),
    measurements: measurements.map((one) => ({
      ...one,
      cells: one.cells.flatMap((cell) => (cell.variant === 'ebpf' ? [{ ...cell, variant: label, ratios: [] }] : [])),
    })),
  }
}

describe('two runs between hosts', () => {
  it('are compared whatever stands between is called, and a tenth between the same two is found', () => {
    const { rows, slower, counted, remarks } = compareResults(between('none', 1, 1), between('doca-card', 2, 0.9))
    expect(rows.map(({ verdict, what }) => `${verdict} ${what}`)).toEqual(new Array(4).fill('slower value'))
    expect([slower, counted]).toEqual([4, 4])
    expect(remarks).toEqual(['between the hosts stood none in the first, and stands doca-card in the second'])
  })

  it('say nothing where nothing changed', () => {
    const { rows } = compareResults(between('none', 1, 1), between('doca-card', 2, 1))
    expect(rows.map(({ verdict }) => verdict)).toEqual(new Array(4).fill('same'))
  })

  it('have to change by more where they were not between the same two', () => {
    const { slower } = compareResults(between('none', 1, 1), between('doca-card', 2, 0.9, '10.0.0.3'))
    expect(slower).toBe(0)
  })
})

describe('what a server says of itself', () => {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  const asked = async (line: string) => {
    const server = createServer((socket) => socket.on('error', () => undefined).end(line)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      return await answering('127.0.0.1', (server.address() as AddressInfo).port - 3)
    } finally {
      server.close()
    }
  }

  it('is the time of its processors, but of this very machine, which is counted here', async () => {
    const other = boot.replace(/^./, (first) => (first === '0' ? '1' : '0'))
    const line = (of: string): string => `{"datagrams":7,"ticks":250,"boot":"${of}"}\n`
    expect(await asked(line(other))).toEqual({ datagrams: 7, busySeconds: 2.5 })
    expect(await asked(line(boot))).toEqual({ datagrams: 7, busySeconds: 0 })
  })

  it.each([
    ['nothing', ''],
    ['something else', '{"datagrams":-1,"ticks":1,"boot":""}\n'],
    ['too much', 'x'.repeat(1 << 20)],
  ])('is refused where it is %s', async (_, line) => {
    await expect(asked(line)).rejects.toMatchObject({ code: 'BENCH_PEER' })
  })
})
