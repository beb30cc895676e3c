// Plays in a guest with BPF LSM, after player.mjs: the files half of the driver of `bpf-lsm` itself, compiled, on a cgroup and a volume of a
// file system of its own. Ways round the rules, tried inside; the life of the guard; random trees, links and operations beside what the
// oracle says. Prints one line of JSON. Arguments: a seed and how many random operations.

import { spawn, spawnSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { guardCapabilities } from '/opt/sluice/dist/backends/bpf-lsm/capabilities.js'
import { evaluateFile } from '/opt/sluice/dist/plan/evaluate-file.js'
import {
  ABOVE,
  fill,
  GROUP,
  open,
  prepare,
  RULES,
  rule,
  stage,
  storage,
  there,
  tryHeld,
  tryNames,
  VOLUME,
  WORKSPACE,
} from './file-ground.mjs'

const [seed, rounds] = process.argv.slice(2).map(Number)
const said = {}
prepare()
// Where nobody judges each way succeeds: or that it does not would prove nothing.
said.unjudged = await tryHeld()
fill()

let driver = open()
const live = async (generation, rules, more) => driver.commit(await stage(driver, generation, rules, more))
const reads = (path) => there('cat', `${VOLUME}/${path}`)

// Before anything hangs, as a running agent does.
const heard = []
let lost = 0
let stop = await driver.fileDenials((batch) => {
  heard.push(...batch.denials)
  lost += batch.lost
})
said.capabilities = guardCapabilities(await driver.probe())
said.before = { live: (await driver.observe()).live, reads: reads('project/.secrets/token') }
const began = performance.now()
const first = await stage(driver, 1, RULES)
said.tookMs = performance.now() - began
said.firstStage = { live: (await driver.observe()).live, reads: reads('project/.secrets/token') }
await driver.commit(first)
said.observed = await driver.observe()
said.anchors = await driver.inspect()

said.escapes = await tryNames()
said.held = await tryHeld()
said.untouched = {
  main: readFileSync(`${VOLUME}/project/main.c`, 'utf8'),
  project: readdirSync(`${VOLUME}/project`).sort(),
  keys: existsSync(`${VOLUME}/project/out/.keys`),
  above: readdirSync(ABOVE).sort(),
}
// They come in the order in which they were made: with the last one all are there.
const lastPid = Number(said.held.at(-1).split(' ')[3])
for (let look = 0; look < 600 && !heard.some(({ pid }) => pid === lastPid); look++) await sleep(100)
said.heard = heard.map(({ workspace, volume, operation, reason, path, clause, pid, uid, generation, count }) => [
  workspace === WORKSPACE && generation === 1 && count > 0,
  ...[volume, operation, reason, path, clause, pid, uid],
])
said.lost = lost

// Life: flags, an agent that ends, another that takes up what it left, a plan that ends, what cannot be held.
const life = {}
const [main, token] = ['project/main.c', 'project/.secrets/token']
life.granted = [reads(main), reads(token)]
await driver.flag(WORKSPACE, 'quarantined', true)
life.quarantined = [reads(main), (await driver.observe()).live.quarantined]
await driver.flag(WORKSPACE, 'quarantined', false)
life.lifted = reads(main)
// What is open is judged again: by a reader that reads on when told.
const reader = spawn('/bin/sh', [
  '-c',
  `echo 0 >${GROUP}/cgroup.procs; exec 3<${VOLUME}/${main}; while read go; do read line <&3 && echo got || echo not; done`,
])
const answers = []
reader.stdout.setEncoding('utf8').on('data', (text) => answers.push(...text.trim().split('\n')))
const ask = async () => {
  const before = answers.length
  reader.stdin.write('go\n')
  for (let i = 0; i < 500 && answers.length === before; i++) await sleep(20)
  return answers.at(-1)
}
writeFileSync(`${VOLUME}/${main}`, 'one\ntwo\nthree\n')
life.openBefore = await ask()
await live(2, [rule('/project/out', 'read-write', 'c')])
life.openAfterNarrowing = await ask()
reader.kill()
await stop()
await driver.close()
life.withoutAgent = [reads(main), there('echo x >', `${VOLUME}/project/out/t`)]
driver = open()
life.adopted = (await driver.observe()).live?.generation
await live(3, RULES)
// Another directory in its place is the volume too; the one that was moved away stays it as well.
renameSync(VOLUME, `${ABOVE}/moved`)
mkdirSync(`${VOLUME}/project/.secrets`, { recursive: true })
writeFileSync(`${VOLUME}/${token}`, 'SECRET\n')
life.replaced = [reads(token), there('cat', `${ABOVE}/moved/${token}`), (await driver.observe()).drift]
rmSync(VOLUME, { recursive: true })
renameSync(`${ABOVE}/moved`, VOLUME)
life.putBack = [reads(main), (await driver.observe()).drift]
// A build that was hung before is replaced while it judges; what hangs then is of the file that is installed.
const programs = async () => new Map((await driver.inspect())[0].hooks.map(({ hook, owner }) => [hook, owner.id]))
const hung = await programs()
for (const name of readdirSync('/sys/fs/bpf/sluice/guard-1/builds')) rmSync(`/sys/fs/bpf/sluice/guard-1/builds/${name}`)
let denied = 0
let passed = 0
const knock = setInterval(() => (reads(token) ? passed++ : denied++), 1)
stop = await driver.activities(
  async () => undefined,
  () => undefined,
)
await sleep(200)
clearInterval(knock)
await stop()
const rehung = await programs()
life.rebuilt = [[...rehung].filter(([hook, id]) => hung.get(hook) === id).length, rehung.size === hung.size, passed]
await live(4, RULES, { expiresAtMs: Date.now() - 1 })
life.expired = [reads(main), (await driver.observe()).volumes[0].state]
await live(5, undefined)
life.unfenced = reads(token)
const refusal = async (more, rules = RULES) => {
  try {
    await stage(driver, 6, rules, more)
    return 'staged'
  } catch (error) {
    return error.message
  }
}
symlinkSync(VOLUME, '/srv/link')
life.byLink = await refusal({ source: '/srv/link' })
life.noFolder = await refusal({ source: '/srv/none' })
spawnSync('mount', ['-t', 'tmpfs', 'in', `${VOLUME}/elsewhere`])
life.mountInside = await refusal({})
spawnSync('/bin/busybox', ['umount', `${VOLUME}/elsewhere`])
life.longName = await refusal({}, [rule(`/${'n'.repeat(128)}`, 'deny', 'a')])
said.life = life

// Random trees, rules and operations, and what the oracle says of each. Lists need what may be read: no name can be left out of one.
let state = seed
const random = (below) => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
  return (state >>> 8) % below
}
const pick = (list) => list[random(list.length)]
const NAMES = ['a', 'b', 'c']
const randomPath = () => `/${Array.from({ length: 1 + random(4) }, () => pick(NAMES)).join('/')}`
const tree = () => ['', ...readdirSync(VOLUME, { recursive: true })].map((path) => `/${path}`)
const kindOf = (path) => {
  try {
    const status = lstatSync(`${VOLUME}${path}`)
    return status.isDirectory() ? 'folder' : status.isSymbolicLink() ? 'link' : 'file'
  } catch {
    return undefined // nothing lies there
  }
}
const helper = spawn('/opt/file-operations', [`${GROUP}/cgroup.procs`], { stdio: ['pipe', 'pipe', 'inherit'] })
let waiting
let rest = ''
helper.stdout.setEncoding('utf8').on('data', (text) => {
  rest += text
  for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
    waiting(Number(rest.slice(0, end)))
    rest = rest.slice(end + 1)
  }
})
const carryOut = (operation, ...paths) =>
  new Promise((done) => {
    waiting = done
    helper.stdin.write(`${[operation, ...paths].join('\t')}\n`)
  })
// The same tree by other ways: what leads to it makes no difference.
mkdirSync('/srv/alias')
spawnSync('mount', ['--bind', ABOVE, '/srv/alias'])
const WAYS_IN = [VOLUME, '/srv/alias/volume', `/proc/self/root${VOLUME}`, `${ABOVE}/../ws/./volume`]
const [EACCES, EROFS] = [13, 30]
const OPERATIONS = [
  ...[
    'open',
    'open-write',
    'list',
    'getattr',
    'readlink',
    'create',
    'mkdir',
    'mknod',
    'make-device',
    'symlink',
    'unlink',
  ],
  ...['rmdir', 'rename', 'exchange', 'link', 'setattr', 'truncate', 'setxattr', 'set-privilege', 'getxattr'],
]
const ASKED = {
  list: ['open'],
  truncate: ['setattr'],
  rename: ['rename-from', 'rename-to'],
  link: ['link-from', 'link-to'],
  'set-privilege': ['set-privilege'],
}
const differing = []
const tally = { allowed: 0, denied: 0, exact: 0, done: 0 }
const standing = { quarantined: false, suspended: false }
let rules = []
for (let round = 0; round < rounds; round++) {
  if (round % 60 === 0) {
    rmSync(VOLUME, { recursive: true, force: true })
    mkdirSync(VOLUME)
    for (let i = 0; i < 14; i++) {
      const path = `${VOLUME}${randomPath()}`
      try {
        if (random(3) > 0) mkdirSync(path, { recursive: true })
        else if (random(3) === 0) symlinkSync(pick(NAMES), path)
        else writeFileSync(path, 'x')
      } catch {
        // a name that is taken, or one below a file: the tree is random all the same
      }
    }
    const made = new Map()
    for (let i = 0; i < 1 + random(5); i++) {
      const made1 = rule(
        random(3) === 0 ? '/' : randomPath(),
        pick(['read-only', 'read-write', 'read-write', 'read-write', 'deny']),
        'a',
      )
      made.set(`${made1.path} ${made1.access}`, made1)
    }
    rules = [...made.values()]
    await live(10 + round, rules)
  }
  const operation = pick(OPERATIONS)
  const fresh = ['create', 'mkdir', 'mknod', 'make-device', 'symlink'].includes(operation)
  const known = tree()
  const one = random(4) === 0 || fresh ? randomPath() : pick(known)
  const two = ['rename', 'link'].includes(operation) ? randomPath() : pick(known)
  const paths = ['rename', 'exchange', 'link'].includes(operation) ? [one, two] : [one]
  // The kernel asks nobody about what changes nothing.
  if (paths.length === 2 && one === two) continue
  // By its entry: no link on the way, and the last one not followed.
  if (
    paths.some((path) =>
      path
        .split('/')
        .some((_, i, all) => i > 0 && i < all.length - 1 && kindOf(all.slice(0, i + 1).join('/')) === 'link'),
    )
  )
    continue
  if (['setattr', 'truncate', 'list'].includes(operation) && kindOf(one) === 'link') continue
  const steps =
    operation === 'exchange'
      ? [
          ['rename-from', one],
          ['rename-to', two],
          ['rename-from', two],
          ['rename-to', one],
        ]
      : (ASKED[operation] ?? [operation]).map((step, i) => [step, paths[i] ?? one])
  const slices = storage(rules)
  const verdicts = steps.map(([step, path]) =>
    evaluateFile(slices, standing, { volume: 'work', operation: step, path }),
  )
  const expected = verdicts.every(({ kind }) => kind === 'allow')
  const way = pick(WAYS_IN)
  const errno = await carryOut(operation, ...paths.map((path) => `${way}${path === '/' ? '' : path}`))
  const refused = errno === EACCES || errno === EROFS
  if (expected) tally.allowed++
  else tally.denied++
  if (errno === 0) tally.done++
  if (!expected && refused) tally.exact++
  // Of two entries that are both denied either may be named first.
  const wanted = verdicts.filter(({ kind }) => kind === 'deny')
  const named = wanted.some(({ error }) => errno === (error === 'EROFS' ? EROFS : EACCES))
  const agrees = expected ? !refused : errno !== 0 && (!refused || named)
  if (!agrees)
    differing.push({
      round,
      operation,
      paths,
      way,
      errno,
      expected,
      reasons: wanted.map(({ reason }) => reason),
      kinds: paths.map(kindOf),
      rules: rules.map(({ path, access }) => `${access} ${path}`),
    })
}
helper.kill()
said.random = { ...tally, differing: differing.slice(0, 10), count: differing.length }
said.uninstalled = await driver.uninstall()
said.after = { reads: there('ls', VOLUME), pins: existsSync('/sys/fs/bpf/sluice/guard-1') }
process.stdout.write(`${JSON.stringify(said, (_, value) => (typeof value === 'bigint' ? Number(value) : value))}\n`)
