// The real companion in a namespace of the laboratory, over processes that stand in for machines: each opens the tap of its workspace and
// pushes datagrams into it as fast as a small machine would. They are kept in a folder, a file each, and outlive this process.

import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { runCompanion } from '../../../dist/bin/companion.js'
import { composeHost, processSurface } from '../../../dist/bin/host.js'
import { parseCompanion } from '../../../dist/companion/config.js'

const [file, pusher, target] = process.argv.slice(2)
const config = parseCompanion(readFileSync(file), file, join(file, '..'))
const folder = config.machines.directory
mkdirSync(folder, { recursive: true })

const at = (id, what) => join(folder, `${id}.${what}`)
const read = (id) => JSON.parse(readFileSync(at(id, 'json'), 'utf8'))
/** A process with that number may be another by now. */
const isAlive = ({ pid, spec }) => {
  try {
    return (
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(spec.id) &&
      !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
    )
  } catch {
    return false
  }
}
const ids = () =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -5))
const stateOf = (id) => (isAlive(read(id)) ? (existsSync(at(id, 'run')) ? 'running' : 'prepared') : 'gone')
const seen = (id) => {
  const { spec, pid } = read(id)
  return { id, workspace: spec.workspace, state: stateOf(id), spec: '', image: spec.boot.image, nic: spec.nic, pid }
}

const driver = {
  name: 'qemu',
  probe: () => Promise.resolve({ usable: true, why: 'a process', shares: [], vfio: false }),
  prepare: (spec) => {
    if (ids().includes(spec.id)) return Promise.resolve(seen(spec.id))
    const words = [pusher, spec.id, spec.nic.interface, spec.nic.mac, at(spec.id, 'run'), target]
    const child = spawn('python3', words, { detached: true, stdio: 'ignore' })
    child.unref()
    writeFileSync(at(spec.id, 'json'), JSON.stringify({ spec, pid: child.pid }))
    return Promise.resolve(seen(spec.id))
  },
  run: (id) => {
    if (!ids().includes(id)) return Promise.reject(new Error(`no machine ${id}`))
    writeFileSync(at(id, 'run'), '')
    return Promise.resolve()
  },
  pause: () => Promise.resolve(),
  stop: async (id) => {
    await driver.kill(id)
    return 'killed'
  },
  kill: async (id) => {
    if (!ids().includes(id)) return
    const machine = read(id)
    while (isAlive(machine)) {
      process.kill(machine.pid, 'SIGKILL')
      await sleep(2)
    }
  },
  remove: (id) => {
    rmSync(at(id, 'run'), { force: true })
    rmSync(at(id, 'json'), { force: true })
    return Promise.resolve()
  },
  forgetWords: () => Promise.resolve(),
  ids: () => Promise.resolve(ids().sort()),
  list: () => Promise.resolve(ids().sort().map(seen)),
  inspect: () => Promise.reject(new Error('a process is no machine')),
  consoleOf: (id) => Promise.resolve(Buffer.from(`console of ${id}\n`)),
}
const images = {
  newest: (name) => Promise.resolve(`${name}@1`),
  layer: (_image, path) => Promise.resolve(existsSync(path) ? undefined : writeFileSync(path, 'layer')),
  boot: (image) => Promise.resolve({ image }),
  shelf: () => Promise.resolve({ builtAtMs: new Map(), newest: new Map() }),
}

const ending = new AbortController()
process.once('SIGTERM', () => ending.abort())
const surface = processSurface()
const around = { ...surface, version: composeHost(surface).version, resolve: (path) => path }
const tell = (line) => process.stderr.write(`${JSON.stringify(line)}\n`)
await runCompanion(around, config, { signal: ending.signal, tell }, { driver, images })
