// Plays in a guest with BPF LSM: what each hook is for. All ways round the rules are tried once for each program of the guard, with that one
// taken off its hook. Prints one line of JSON. Arguments: the programs; all that hang when there are none.

import { readdirSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { openDoor } from '/opt/sluice/dist/backends/bpf-lsm/door.js'
import { fill, open, prepare, RULES, stage, tryHeld, tryNames } from './file-ground.mjs'

const PINS = '/sys/fs/bpf/sluice/guard-1'
/** The kernel lets go of a program some time after its pin is gone. */
const LET_GO_MS = 500

prepare()
const driver = open()
await driver.commit(await stage(driver, 1, RULES))
const tryAll = async () => {
  fill()
  const lines = [...(await tryHeld()), ...(await tryNames())]
  return lines
    .map((line) => line.split(' '))
    .flatMap(([name, result]) => (result === 'got' && !name.startsWith('may_') ? [name] : []))
}
const native = openDoor()
const without = {}
const asked = process.argv.slice(2)
for (const program of asked.length > 0 ? asked : readdirSync(`${PINS}/links`).sort()) {
  rmSync(`${PINS}/links/${program}`)
  await sleep(LET_GO_MS)
  const missed = (await driver.observe()).drift.includes(`${program} does not hang`)
  without[program] = { missed, got: await tryAll() }
  const loaded = native.call('opening', 'get', `${PINS}/programs/${program}`)
  native.call('attaching', 'attach', loaded, `${PINS}/links/${program}`)
  native.ask('close', loaded)
}
process.stdout.write(`${JSON.stringify({ without, whole: await tryAll() })}\n`)
