// What a policy change does to flows that stay granted: a steady stream of large packets, far below what the link can do, so that nothing
// else loses any, while releases that grant other things beside it are put in force one after the other, against the same with no release,
// by turns. Resets and retransmissions are the kernel's counts (Tcp of /proc/PID/net/snmp) at both ends. Needs root and a build.

import { readFileSync } from 'node:fs'
import { openBench } from './dataplane/fence.mjs'
import { openLink } from './dataplane/link.mjs'
import { ebpfProgram, openNftables, program } from './dataplane/nftables.mjs'
import { named } from './said/short.mjs'

export const promise = 'policy change, a flow that stays granted: resets, and retransmissions above no change'
export const target = '0, 0'

const ROUNDS = 5
const MS = 1_500
/** In turn; the server's address is in both. */
const SIZES = [1_000, 900]

/** Of the namespace of a process: connections that were reset, and segments sent again. */
function counts(pid) {
  const [names, values] = readFileSync(`/proc/${pid}/net/snmp`, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
    .map((line) => line.split(' '))
  const of = (name) => Number(values[names.indexOf(name)])
  return { resets: of('EstabResets') + of('OutRsts'), again: of('RetransSegs') }
}

export async function measure() {
  const bench = await openBench()
  const link = await openLink()
  const nft = await openNftables()
  let generation = 0
  try {
    await bench.detach()
    const said = []
    const rows = []
    const series = []
    let met = true
    for (const [name, driver, lower] of [
      ['ebpf', bench.driver, ebpfProgram],
      ['nftables', nft.driver, program],
    ]) {
      const change = async () => {
        generation++
        await driver.commit(await driver.stage(lower(generation, SIZES[generation % 2])))
      }
      await change()
      const seen = { still: [], changed: [] }
      const stream = async (kind, act) => {
        const before = [link.client, link.server].map(counts)
        const done = { rate: 0, changes: 0, over: false }
        const running = link.run('steady', MS).finally(() => {
          done.over = true
        })
        // Who waits for the stream hears of its failure; until then it is nobody's.
        running.catch(() => undefined)
        while (act && !done.over) {
          await act()
          done.changes++
        }
        const rate = await running
        const after = [link.client, link.server].map(counts)
        const more = (what) => after.reduce((sum, end, i) => sum + end[what] - before[i][what], 0)
        seen[kind].push({ rate, changes: done.changes, resets: more('resets'), again: more('again') })
      }
      await stream('still')
      seen.still.length = 0
      for (let round = 0; round < ROUNDS; round++) {
        const turns = [() => stream('still'), () => stream('changed', change)]
        for (const turn of round % 2 === 0 ? turns : turns.reverse()) await turn()
      }
      const sum = (kind, what) => seen[kind].reduce((total, one) => total + one[what], 0)
      const ratios = seen.changed.map(({ rate }, i) => rate / seen.still[i].rate)
      const [resets, before] = [sum('changed', 'resets'), sum('still', 'resets')]
      const [again, without] = [sum('changed', 'again'), sum('still', 'again')]
      met &&= resets <= before && again <= without
      said.push(`${named(name)} ${resets - before} resets, ${again - without} retransmissions`)
      rows.push(
        ...[
          `releases: ${sum('changed', 'changes')} in ${(ROUNDS * MS) / 1000} s`,
          `resets: ${resets}, without a release ${before}`,
          `retransmissions: ${again}, without a release ${without}`,
          `throughput of no release: ${ratios.map((one) => one.toFixed(2)).join(', ')}`,
        ].map((row) => `${named(name)}, ${row}`),
      )
      series.push({ name: `${name}, stream while releases come`, unit: 'ratio', better: 'higher', samples: ratios })
      if (name === 'ebpf') await bench.detach()
    }
    return { figure: `above no release: ${said.join(', ')}`, rows, met, series }
  } finally {
    link.close()
    await nft.close()
    await bench.close()
  }
}
