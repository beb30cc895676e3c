// What it takes to add one learned grant to the live eBPF fence, and to set or lift a quarantine: until it is in the kernel and
// read back. Packets see it at once: no generation changes. Needs root and a build.

import { median, openBench } from './dataplane/fence.mjs'

export const promise = 'eBPF: add one learned grant'
export const target = '<= 20 us'

const GRANTS = 5000
const FLAGS = 2000

export async function measure() {
  const bench = await openBench()
  try {
    const { driver, workspace } = bench
    const clause = `sha256:${'ab'.repeat(32)}`
    await driver.commit(await driver.stage(bench.lower(1, 1000, 'exact', [clause])))
    await driver.observe()
    const expiresAtMs = Date.now() + 600_000
    const added = []
    for (let i = 0; i < GRANTS; i++) {
      const address = `93.184.${i >> 8}.${i & 255}`
      const grant = {
        workspace,
        clause,
        name: 'api.example',
        protocol: 'tcp',
        address,
        port: 443,
        generation: 1,
        expiresAtMs,
      }
      const began = performance.now()
      if (!(await driver.learn(1, [grant]))) throw new Error('stale')
      added.push((performance.now() - began) * 1000)
    }
    const flagged = []
    for (let i = 0; i < FLAGS; i++) {
      const began = performance.now()
      await driver.flag(workspace, 'quarantined', i % 2 === 0)
      flagged.push((performance.now() - began) * 1000)
    }
    const p99 = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length * 0.99)]
    const figure = `median ${median(added).toFixed(1)} us, p99 ${p99(added).toFixed(1)} us; quarantine written and read back: median ${median(flagged).toFixed(1)} us, p99 ${p99(flagged).toFixed(1)} us`
    const series = [
      { name: 'eBPF, one learned grant', unit: 'us', better: 'lower', samples: added },
      { name: 'eBPF, a quarantine written and read back', unit: 'us', better: 'lower', samples: flagged },
    ]
    return { figure, met: median(added) <= 20, series }
  } finally {
    await bench.close()
  }
}
