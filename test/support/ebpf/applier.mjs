// An agent's worth of process for the suite that kills it: adopts the fence, says what it found, then applies plan after plan
// until it is killed. Plan n is plans[n % plans.length]; each line says what may be live from now on. Uses the compiled sources.
// Arguments: a file with the plans' slices as JSON, the number of the next plan.

import { readFileSync } from 'node:fs'
import { ebpfBackend } from '../../../dist/backends/ebpf/index.js'

const [file, first] = process.argv.slice(2)
const slices = JSON.parse(readFileSync(file, 'utf8'))
// The wall clock itself: the origin of `performance` may be some milliseconds off when a process starts on a busy machine.
const tell = (word, n) => process.stdout.write(`${Date.now()} ${word} ${n}\n`)

const driver = await ebpfBackend.open({ attachInterfaces: ['ws*'], stateDirectory: '' })
const { live } = await driver.observe()
tell('live', live?.generation ?? 0)
for (let n = Math.max(Number(first), (live?.generation ?? 0) + 1); ; n++) {
  const program = ebpfBackend.lower({ ...slices[n % slices.length], generation: n })
  const staged = await driver.stage(program)
  tell('commit', n)
  await driver.commit(staged)
  tell('live', n)
}
