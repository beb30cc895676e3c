// What our own side of a DOCA Flow generation costs: lowering, packing, crossing into the shim, and pointing the parents. The card
// is the emulator, so that the figures say nothing about a BlueField; what they find is a foreign function interface or a wait
// that would cost more than the device.

import { execFileSync } from 'node:child_process'
import koffi from 'koffi'
import { DocaDriver } from '../dist/backends/doca-flow/driver.js'
import { lower } from '../dist/backends/doca-flow/lower.js'
import { Native } from '../dist/backends/doca-flow/native.js'

export const promise = 'DOCA Flow generation, crossings of the FFI (emulated)'
export const target = 'under 5 % of the install time at 10, 1,000 and 100,000 grants'

const root = new URL('../', import.meta.url).pathname
const clause = `sha256:${'0'.repeat(64)}`
const MAC = '02:00:00:00:09:02'

function sliceOf(grants, generation) {
  const egress = Array.from({ length: grants }, (_, i) => {
    const prefix = `45.${76 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}/32`
    const ports = { from: 443, to: 443 }
    return {
      id: `egress/tcp/${prefix}/443`,
      direction: 'egress',
      protocol: 'tcp',
      prefix,
      ports,
      opens: false,
      clauses: [clause],
    }
  })
  const slot = {
    kind: 'representor',
    interface: 'pf0vf0',
    vuid: 'ws0',
    mac: MAC,
    addresses: ['10.9.0.2'],
    gateway: { mac: '', addresses: [] },
  }
  const idle = { tcpMs: 1, udpMs: 1, icmpMs: 1 }
  const network = { services: [], egress, ingress: [], names: [], idle }
  return {
    generation,
    planDigest: clause,
    source: { expiresAtMs: 0 },
    workspaces: [{ workspace: 'ws', slot, onExpiry: 'hold', network }],
  }
}

/** Time spent behind the interface, and how often it was crossed. */
function watch() {
  const seen = { calls: 0, ms: 0 }
  const { ask } = Native.prototype
  Native.prototype.ask = function (...args) {
    const start = performance.now()
    const answer = ask.apply(this, args)
    seen.calls++
    seen.ms += performance.now() - start
    return answer
  }
  return seen
}

/** One crossing that does nothing, milliseconds. */
function crossing() {
  const nothing = koffi.load(`${root}build/doca/libsluice_doca.so`).func('int32_t sluice_doca_abi()')
  for (let i = 0; i < 10_000; i++) nothing()
  const start = performance.now()
  for (let i = 0; i < 100_000; i++) nothing()
  return (performance.now() - start) / 100_000
}

export async function measure() {
  execFileSync('make', ['-s', '-f', 'doca-shims/Makefile'], { cwd: root, stdio: 'inherit' })
  const emulator = koffi.load(`${root}build/doca/libdoca_emulator.so`)
  emulator.func('int doca_emulator_topology(const char *text)')('dev 0000:03:00.0 p0; rep 0000:03:00.0 pf0vf0 ws0')
  const seen = watch()
  const one = crossing()
  const driver = await DocaDriver.open({ attachInterfaces: [], stateDirectory: '' })
  const rows = []
  let worst = 0
  let generation = 0
  for (const grants of [10, 1_000, 100_000]) {
    for (let round = 0; round < 3; round++) {
      const slice = sliceOf(grants, ++generation)
      // What the generation before leaves to clear away is no part of this one.
      await driver.observe()
      const from = performance.now()
      const program = lower(slice)
      const lowered = performance.now()
      Object.assign(seen, { calls: 0, ms: 0 })
      const staged = await driver.stage(program)
      const loaded = performance.now()
      const { calls, ms } = seen
      await driver.commit(staged)
      const switched = performance.now()
      if (round < 2) continue
      const entries = program.workspaces[0].pipes.reduce((sum, pipe) => sum + pipe.entries.length, 0)
      const install = loaded - lowered
      const share = (100 * calls * one) / install
      worst = Math.max(worst, share)
      rows.push(
        ...[
          `lowered in: ${(lowered - from).toFixed(1)} ms`,
          `${entries} entries installed in: ${install.toFixed(1)} ms, ${Math.round(entries / (install / 1000))} a second`,
          `of that in C: ${((100 * ms) / install).toFixed(0)} %`,
          `of that ${calls} crossings: ${share.toFixed(2)} %`,
          `switched in: ${(switched - loaded).toFixed(2)} ms`,
        ].map((row) => `emulated, ${grants.toLocaleString('en')} grants, ${row}`),
      )
    }
  }
  await driver.close()
  return { figure: `at most ${worst.toFixed(2)} %`, rows, met: worst < 5 }
}
