// The ground that the players about files stand on, in a guest with BPF LSM: a volume on a file system of its own, another on a disk where
// one directory folds case, a cgroup, the driver of `bpf-lsm`, compiled, and the programs that try ways round its rules.

import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { GuardDriver } from '/opt/sluice/dist/backends/bpf-lsm/driver.js'
import { lower } from '/opt/sluice/dist/backends/bpf-lsm/lower.js'

export const [ABOVE, VOLUME, FOLDING, GROUP] = ['/srv/ws', '/srv/ws/volume', '/fold/volume', '/sys/fs/cgroup/ws0']
export const STATE = '/tmp/files-state'
export const WORKSPACE = 'spiffe://example.org/workspace/dev/ws0'
const FAR_MS = Date.now() + 3_600_000
export const digest = (letter) => `sha256:${letter.repeat(64)}`
export const PLAN = digest('d')

const run = (...words) => {
  const { status, stderr } = spawnSync(words[0], words.slice(1), { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${words.join(' ')}: ${status} ${stderr}`)
}

/** Everything as it was in the beginning, whatever was done to it. */
export function fill() {
  for (const name of existsSync(VOLUME) ? readdirSync(VOLUME) : []) rmSync(`${VOLUME}/${name}`, { recursive: true })
  for (const folder of ['project/out', 'project/.secrets', 'elsewhere'])
    mkdirSync(`${VOLUME}/${folder}`, { recursive: true })
  writeFileSync(`${VOLUME}/project/main.c`, 'int main;\n')
  writeFileSync(`${VOLUME}/project/.secrets/token`, 'SECRET\n')
  writeFileSync(`${VOLUME}/elsewhere/notes`, 'SECRET\n')
  // Nobody is refused for whose files they are, or for what their modes say.
  chmodSync(`${VOLUME}/project/.secrets/token`, 0o755)
  for (const path of ['', ...readdirSync(VOLUME, { recursive: true })]) chownSync(`${VOLUME}/${path}`, 1000, 1000)
}

/** File systems, folders and the cgroup. */
export function prepare() {
  mkdirSync('/srv', { recursive: true })
  run('mount', '-t', 'tmpfs', 'srv', '/srv')
  mkdirSync(ABOVE)
  fill()
  chownSync(ABOVE, 1000, 1000)
  mkdirSync(GROUP, { recursive: true })
  mkdirSync('/fold', { recursive: true })
  writeFileSync('/tmp/disk', Buffer.alloc(8 << 20))
  run('/usr/sbin/mke2fs', '-q', '-t', 'ext4', '-O', 'casefold', '-E', 'encoding=utf8', '/tmp/disk')
  run('mount', '-t', 'ext4', '-o', 'loop', '/tmp/disk', '/fold')
  for (const folder of ['Docs', 'plain']) mkdirSync(`${FOLDING}/${folder}`, { recursive: true })
  run('/usr/bin/chattr', '+F', `${FOLDING}/Docs`)
  for (const name of ['Docs/Token', 'plain/token']) {
    writeFileSync(`${FOLDING}/${name}`, 'SECRET\n')
    chownSync(`${FOLDING}/${name}`, 1000, 1000)
  }
}

export const rule = (path, access, letter) => ({ path, access, clauses: [digest(letter)] })
export const RULES = [
  rule('/project', 'read-only', 'a'),
  rule('/project/.secrets', 'deny', 'b'),
  rule('/project/out', 'read-write', 'c'),
  rule('/project/out/.keys', 'deny', 'e'),
]
export const storage = (rules, source = VOLUME) => ({
  ...{ backend: 'bpf-lsm', domain: 'host' },
  volumes: [
    { name: 'folding', source: FOLDING, mount: '/srv/folding', rules: [rule('/', 'read-only', 'f')] },
    { name: 'work', source, mount: '/srv/view', rules },
  ],
})
const slice = (generation, rules, { expiresAtMs = FAR_MS, source } = {}) => ({
  ...{ generation, planDigest: PLAN, source: { expiresAtMs } },
  workspaces: [
    {
      ...{ workspace: WORKSPACE, slot: { kind: 'cgroup', interface: 'ws0' }, onExpiry: 'suspend' },
      ...(rules ? { storage: storage(rules, source) } : {}),
    },
  ],
})
export const open = () => new GuardDriver({ attachInterfaces: [], stateDirectory: STATE })
export const stage = (driver, generation, rules, more) => driver.stage(lower(slice(generation, rules, more)))
/** Runs a line of the shell in the cgroup. */
export const there = (...words) =>
  spawnSync('/bin/sh', ['-c', `echo 0 >${GROUP}/cgroup.procs && ${words.join(' ')}`]).status === 0

/** Gives what the program said that goes by names, a line a way. `only`: of one way. */
export const tryNames = (only) => output(only, '/opt/file-escapes', `${GROUP}/cgroup.procs`, VOLUME)

/** As `tryNames`, of the one that goes by what a process has. */
export async function tryHeld(only) {
  const EARS = ['project', 'project/.secrets', 'project/out'].map((folder) => `${VOLUME}/${folder}/ear`)
  const ears = spawn('/opt/file-ears', EARS, { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((done) => ears.stdout.once('data', done))
  // Somebody outside who hands over an open token: a workspace's peer with more rights.
  rmSync('/tmp/hand-over', { force: true })
  const giver = spawn('/opt/hand-over', ['/tmp/hand-over', `${VOLUME}/project/.secrets/token`], { stdio: 'ignore' })
  for (let i = 0; i < 3_000 && !existsSync('/tmp/hand-over'); i++) await sleep(20)
  const said = await output(only, '/opt/file-held', `${GROUP}/cgroup.procs`, VOLUME, '/tmp/hand-over', FOLDING)
  for (const helper of [giver, ears]) helper.kill()
  return said
}

/** Not waited for in place: refusals are taken as they come. */
async function output(only, ...words) {
  const program = spawn(words[0], words.slice(1), only === undefined ? {} : { env: { ...process.env, ONLY: only } })
  const said = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr']) program[stream].on('data', (more) => (said[stream] += more))
  const status = await new Promise((done) => program.once('close', done))
  if (status !== 0) throw new Error(`${words[0]}: ${status} ${said.stderr}${said.stdout}`)
  return said.stdout.trim().split('\n')
}
