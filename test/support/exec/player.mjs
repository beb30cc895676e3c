// Plays in a guest with BPF LSM: the driver of `bpf-lsm` itself, compiled, on a cgroup; ways to run what is not listed, tried inside it;
// and a stretch of random files that are run there, beside what the oracle says. Prints one line of JSON with what came of it.
// Arguments: a seed and how many random files.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { guardCapabilities } from '/opt/sluice/dist/backends/bpf-lsm/capabilities.js'
import { GuardDriver } from '/opt/sluice/dist/backends/bpf-lsm/driver.js'
import { lower } from '/opt/sluice/dist/backends/bpf-lsm/lower.js'
import { evaluateProcess } from '/opt/sluice/dist/plan/evaluate-process.js'

const [seed, rounds] = process.argv.slice(2).map(Number)
const [FOLDER, MARKS, GROUP, STATE] = ['/opt/ws', '/tmp/marks', '/sys/fs/cgroup/ws0', '/tmp/state']
const WORKSPACE = 'spiffe://example.org/workspace/dev/ws0'
const CLAUSE = `sha256:${'c'.repeat(64)}`
const PLAN = `sha256:${'d'.repeat(64)}`
const PINNED = ['pinned', 'pinned2', 'pinned3', 'pinned4', 'pinned5']
const FAR_MS = Date.now() + 3_600_000
const said = {}

const at = (name) => `${FOLDER}/${name}`
const digestOf = (path) => `sha256:${createHash('sha256').update(readFileSync(path)).digest('hex')}`
const put = (from, to) => {
  copyFileSync(from, to)
  chmodSync(to, 0o755)
  chownSync(to, 1000, 1000)
}

/** Everything as it was in the beginning, whatever was tried. */
function layOut() {
  for (const path of [FOLDER, MARKS, '/tmp/jail', '/tmp/up', '/tmp/kept-evil', '/dev/shm/evil'])
    rmSync(path, { recursive: true, force: true })
  for (const folder of [FOLDER, MARKS]) {
    mkdirSync(folder, { recursive: true })
    chownSync(folder, 1000, 1000)
  }
  put('/opt/evil', at('evil'))
  put('/opt/evil-dynamic', at('dynamic'))
  for (const name of ['ok', ...PINNED]) put('/opt/ok', at(name))
  for (const name of ['script', 'listed.esc', 'listed.okx', 'plain.okx']) {
    writeFileSync(at(name), `#!${at('evil')}\n`)
    chmodSync(at(name), 0o755)
  }
}
mkdirSync(GROUP, { recursive: true })
chmodSync('/tmp', 0o1777)
chmodSync('/dev/shm', 0o1777)
// Handlers of the node's own for two endings: one whose program is not listed, and one whose is.
const HANDLERS = '/proc/sys/fs/binfmt_misc'
spawnSync('mount', ['-t', 'binfmt_misc', 'binfmt_misc', HANDLERS])
for (const [ending, program] of Object.entries({ esc: 'evil', okx: 'ok' }))
  writeFileSync(`${HANDLERS}/register`, `:${ending}:E::${ending}::${at(program)}:`)
layOut()
// Where nobody judges each way succeeds: or that it does not would prove nothing.
const tryEscapes = () => spawnSync('/opt/escapes', [`${GROUP}/cgroup.procs`, FOLDER, MARKS], { encoding: 'utf8' })
said.unjudged = tryEscapes().stdout.trim().split('\n')
layOut()
// Whoever changes a file does so later than the tick of the clock that stamped it.
await sleep(200)

const allow = (paths, pinned) => [
  ...paths.map((path) => ({ path })),
  ...pinned.map((path) => ({ path, digest: digestOf(path) })),
]
const slice = (generation, list, expiresAtMs = FAR_MS) => ({
  generation,
  planDigest: PLAN,
  source: { expiresAtMs },
  workspaces: [
    {
      workspace: WORKSPACE,
      slot: { kind: 'cgroup', interface: 'ws0' },
      onExpiry: 'suspend',
      process: {
        blocks: { backend: 'bpf-lsm', domain: 'host' },
        ...(list ? { exec: { clause: CLAUSE, reaction: 'observe', allow: list } } : {}),
      },
    },
  ],
})
const open = () => new GuardDriver({ attachInterfaces: [], stateDirectory: STATE })
let driver = open()
const live = async (generation, list, expiresAtMs) =>
  driver.commit(await driver.stage(lower(slice(generation, list, expiresAtMs))))
/** Runs a file in the cgroup: `ran`, or the name of the error. */
function runThere(path) {
  const mark = `${MARKS}/once`
  for (const kind of ['ok', 'evil']) rmSync(`${mark}.${kind}`, { force: true })
  const words = ['-c', 'echo 0 > "$0" && exec "$1"', `${GROUP}/cgroup.procs`, path]
  // The shell joins the cgroup and runs the file in its own place, so that nothing else is judged.
  spawnSync('/bin/sh', words, { env: { MARK: mark }, stdio: 'ignore' })
  return ['ok', 'evil'].some((kind) => existsSync(`${mark}.${kind}`))
}

said.capabilities = guardCapabilities(await driver.probe())
said.before = { live: (await driver.observe()).live, ran: runThere(at('evil')) }
const list = allow(['ok', 'script', 'listed.esc', 'listed.okx'].map(at), PINNED.map(at))
// The first stage of all: nothing is in force before its commit.
const first = await driver.stage(lower(slice(1, list)))
said.firstStage = { live: (await driver.observe()).live, ran: runThere(at('evil')) }
await driver.commit(first)
said.observed = await driver.observe()
const heard = []
let failure
const stop = await driver.activities(
  async ({ activities }) => {
    heard.push(...activities)
  },
  (error) => {
    failure = String(error)
  },
)
const tried = tryEscapes()
said.escapes = tried.stdout.trim().split('\n')
said.trouble = tried.stderr
// Refusals come in the order in which they were made: with the last one all are there.
const lastWay = said.escapes.at(-1).split(' ')[0].slice(0, 15)
for (let look = 0; look < 600 && !heard.some(({ record }) => record.process.name === lastWay); look++) await sleep(100)
said.heard = heard.map(({ workspace, record }) => [
  workspace === WORKSPACE,
  record.process.name,
  record.refused,
  record.process.uid,
])
const before = heard.length

// Life: flags, an agent that ends, another that takes up what it left, a plan that ends, a cgroup that nobody fences.
const life = {}
for (const name of ['ok', ...PINNED]) put('/opt/ok', at(name))
await sleep(200)
await live(2, allow([at('ok')], [at('pinned')]))
life.granted = [runThere(at('ok')), runThere(at('pinned')), runThere(at('pinned2')), runThere(at('evil'))]
await driver.flag(WORKSPACE, 'quarantined', true)
life.quarantined = [runThere(at('ok')), (await driver.observe()).live.quarantined]
mkdirSync(at('kit'))
put('/opt/ok', at('kit/tool'))
await live(3, allow([at('ok'), at('kit/tool')], []))
life.stillQuarantined = runThere(at('ok'))
await driver.flag(WORKSPACE, 'quarantined', false)
life.lifted = runThere(at('ok'))
await stop()
await driver.close()
life.withoutAgent = [runThere(at('ok')), runThere(at('evil'))]
// What a listed path no longer leads to, though nothing about the file itself changed, until an agent is back.
renameSync(at('kit'), at('kit-before'))
mkdirSync(at('kit'))
put('/opt/ok', at('kit/tool'))
const moved = [runThere(at('kit-before/tool'))]
driver = open()
life.adopted = (await driver.observe()).live?.generation
life.moved = [...moved, runThere(at('kit-before/tool')), runThere(at('kit/tool'))]
put('/opt/ok', at('new'))
renameSync(at('new'), at('ok'))
life.replaced = runThere(at('ok'))
await driver.observe()
life.seen = runThere(at('ok'))
appendFileSync(at('pinned'), 'x')
await live(4, allow([], [at('ok')]))
life.pinned = runThere(at('ok'))
await driver.stage(lower(slice(5, [])))
life.onlyStaged = runThere(at('ok'))
await driver.discard({ generation: 5, planDigest: PLAN })
await live(6, undefined)
life.unrestricted = runThere(at('evil'))
await live(7, [])
life.empty = runThere(at('ok'))
await live(8, allow([at('ok')], []), Date.now() - 1)
life.expired = runThere(at('ok'))
life.stale = await driver.commit({ generation: 99, planDigest: PLAN }).catch((error) => error.code)
said.life = life

// Random files and links, and what the oracle says of each: by the path at the end of every link.
let state = seed
const random = (below) => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
  return (state >>> 8) % below
}
const names = Array.from({ length: 10 }, (_, i) => at(`r${i}`))
const differing = []
let [ran, refused] = [0, 0]
for (let round = 0; round < rounds; round++) {
  const path = names[random(names.length)]
  const other = names[random(names.length)]
  rmSync(path, { force: true })
  const what = random(5)
  if (what === 0 && other !== path && existsSync(other)) symlinkSync(other, path)
  else if (what === 1 && other !== path && existsSync(other) && realpathSync(other) !== path)
    linkSync(realpathSync(other), path)
  else put(what === 2 ? '/opt/evil' : '/opt/ok', path)
  if (round % 8 === 0) {
    const there = names.filter((name) => existsSync(name) && realpathSync(name) === name)
    const [paths, pinned] = [there.filter(() => random(3) === 0), there.filter(() => random(4) === 0)]
    await sleep(100)
    said.list = allow(paths, pinned)
    await live(10 + round, said.list)
  }
  // Pinned content counts when the tick of the clock that stamped the file has passed.
  await sleep(60)
  await driver.observe()
  const chosen = names.filter((name) => existsSync(name))
  const run = chosen[random(chosen.length)]
  if (run === undefined) continue
  const real = realpathSync(run)
  // Another name for a listed file is that file.
  const inode = (name) => statSync(name).ino
  const twins = names.filter((name) => existsSync(name) && realpathSync(name) === name && inode(name) === inode(real))
  const verdicts = twins.map((name) =>
    evaluateProcess(
      slice(1, said.list).workspaces[0].process,
      { quarantined: false, suspended: false },
      {
        path: name,
        digest: digestOf(name),
        memoryOnly: false,
      },
    ),
  )
  const expected = verdicts.some(({ kind }) => kind === 'allow')
  const found = runThere(run)
  if (found) ran++
  else refused++
  if (found !== expected) differing.push({ round, run, real, twins, expected, found })
}
said.random = { ran, refused, differing }
said.counts = Object.fromEntries(
  Object.entries((await driver.observe()).drops).map(([name, count]) => [name, Number(count)]),
)
said.heardMore = before
said.failure = failure
said.uninstalled = await driver.uninstall()
said.after = {
  ran: runThere(at('evil')),
  pins: existsSync('/sys/fs/bpf/sluice/guard-1'),
  left: readdirSync('/tmp').includes('state'),
}
process.stdout.write(`${JSON.stringify(said, (_, value) => (typeof value === 'bigint' ? Number(value) : value))}\n`)
