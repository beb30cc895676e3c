// Whose process QEMU is, as the kernel says it in a /proc that stands in: another user than the machine's own, or one with rights, is found.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { MachineSpec } from '../../../src/companion/drivers/driver.js'
import { waysOutOf } from '../../../src/companion/drivers/proc.js'
import { expectedOfQemu } from '../../../src/companion/drivers/qemu-expected.js'
import { type Answers, readBack } from '../../../src/companion/drivers/qemu-readback.js'

const file = { path: '/srv/images/kernel', digest: `sha256:${'a'.repeat(64)}`, bytes: 10 } as const
const SPEC: MachineSpec = {
  id: 'm1',
  workspace: 'spiffe://fleet.example/ws/one',
  boot: { image: 'tiny@1', kernel: { file, commandLine: '' } },
  cpus: 1,
  memoryMiB: 256,
  nic: { kind: 'tap', interface: 'tap0', mac: '02:00:00:00:00:02' },
  volumes: [],
  limits: { cpuPercent: 100, memoryMiB: 512, pids: 64 },
  user: 60_001,
}
const NOTHING: Answers = {
  ...{ pci: [], network: '', chardevs: [] },
  ...{ peripheral: [], anonymous: [], objects: [], blocks: [] },
}
const PID = 4_711
const GOOD = [
  'Name:\tqemu-system-x86',
  'Uid:\t60001\t60001\t60001\t60001',
  'CapPrm:\t0000000000000000',
  'CapEff:\t0000000000000000',
  'NoNewPrivs:\t1',
  '',
].join('\n')

/** What is found of its rights, of all that is missing beside them. */
function found(status: string | undefined): readonly string[] {
  const proc = mkdtempSync(join(tmpdir(), 'sluice-proc-'))
  try {
    mkdirSync(join(proc, String(PID)))
    if (status !== undefined) writeFileSync(join(proc, String(PID), 'status'), status)
    const { findings } = readBack(SPEC, expectedOfQemu(SPEC), NOTHING, waysOutOf(PID, proc))
    return findings.filter((finding) => finding.startsWith('it '))
  } finally {
    rmSync(proc, { recursive: true })
  }
}

const CAPABLE = 'it has capabilities'
const CLIMBING = 'it may get privileges from a program'
it.each<[string, string | undefined, readonly string[]]>([
  ['the machine’s own user, without rights', GOOD, []],
  ['root', GOOD.replaceAll('60001', '0'), ['it runs as the users 0, 0, 0, 0, not as 60001']],
  [
    'one that can be root again',
    GOOD.replace('60001\t60001\n', '0\t60001\n'),
    ['it runs as the users 60001, 60001, 0, 60001, not as 60001'],
  ],
  ['another machine’s', GOOD.replaceAll('60001', '60002'), [expect.stringMatching(/^it runs as the users 60002, /)]],
  ['one with a capability', GOOD.replace('CapEff:\t0000000000000000', 'CapEff:\t0000000000001000'), [CAPABLE]],
  ['one that can take one', GOOD.replace('CapPrm:\t0000000000000000', 'CapPrm:\t0000000000001000'), [CAPABLE]],
  ['one that may climb', GOOD.replace('NoNewPrivs:\t1', 'NoNewPrivs:\t0'), [CLIMBING]],
  ['nobody’s: it went', undefined, ['it runs as the users unknown, not as 60001', CAPABLE, CLIMBING]],
])('finds whose process QEMU is: %s', (_whose, status, findings) => {
  expect(found(status)).toEqual(findings)
})
