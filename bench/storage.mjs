// What a volume costs beside the bare directory that it serves: fio's sequential reads and writes, 4 KiB random reads, and metadata;
// once with open files judged, once handed to the kernel (`open_files: until-closed`). Rounds take turns, so that a busy machine is
// busy for all. Judged is the median of the rounds' ratios, each of two rates of the same round, with its interval (95 %, by drawing the
// rounds again) beside it; the least and the greatest of rounds are told as well. Before a cold round every cache of the file is dropped.
// Without fio or root nothing is measured.

import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as rest } from 'node:timers/promises'
import { vaultfsBackend } from '../dist/backends/vaultfs/index.js'
import { median, pairedInterval } from '../dist/bench/statistics.js'

export const promise = 'a volume beside the bare directory (median of the ratios of rounds that take turns)'
export const target = 'handed to the kernel: sequential >= 0.9, 4 KiB random reads >= 0.7, metadata >= 0.4'

const ROUNDS = Number(process.env.ROUNDS ?? 9)
const SIZE = '128M'
const FILES = 1_500
const WORKSPACE = 'spiffe://example.org/workspace/bench'

/** Bytes a second. */
function fio(directory, rw, more = []) {
  const common = [
    '--name=volume',
    `--filename=${join(directory, 'data')}`,
    `--size=${SIZE}`,
    '--ioengine=psync',
    '--fadvise_hint=0',
  ]
  const text = execFileSync('fio', [...common, `--rw=${rw}`, '--invalidate=0', '--output-format=json', ...more], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
  const [job] = JSON.parse(text.slice(text.indexOf('{'))).jobs
  return rw.includes('write') ? job.write.bw_bytes : job.read.bw_bytes
}

/** Drops what is cached of a file, written back first. */
const drop = (path) => execFileSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0'], { stdio: 'ignore' })

const metadata = (directory) => {
  const empty = join(directory, `m${Math.random()}`)
  mkdirSync(empty)
  const program = new URL('storage/metadata.mjs', import.meta.url).pathname
  const rate = Number(execFileSync(process.execPath, [program, empty, String(FILES)], { encoding: 'utf8' }))
  rmSync(empty, { recursive: true })
  return rate
}

const WORKLOADS = {
  'sequential read, cached': { run: (at) => fio(at, 'read', ['--bs=1M']), floor: 0.9 },
  'sequential read, cold': { cold: true, run: (at) => fio(at, 'read', ['--bs=1M']), floor: 0.9 },
  'sequential write, synced': { run: (at) => fio(at, 'write', ['--bs=1M', '--end_fsync=1']), floor: 0.9 },
  '4 KiB random read, cached': { run: (at) => fio(at, 'randread', ['--bs=4k', '--io_size=64M']), floor: 0.7 },
  '4 KiB random read, cold': { cold: true, run: (at) => fio(at, 'randread', ['--bs=4k', '--io_size=24M']), floor: 0.7 },
  metadata: { run: metadata, floor: 0.4 },
}

/** Of the same rounds always the same interval. */
const TERMS = { confidence: 0.95, seed: 1 }

/** One directory, served twice: open files judged, and handed to the kernel. */
async function serve(driver, directory) {
  const source = join(directory, 'source')
  mkdirSync(source)
  const [judged, handed] = ['judged', 'handed'].map((name) => join(directory, name))
  const rules = [{ path: '/', access: 'read-write', clauses: [`sha256:${'0'.repeat(64)}`] }]
  const volumes = [
    { name: 'handed', source, mount: handed, rules, openFiles: 'until-closed' },
    { name: 'judged', source, mount: judged, rules },
  ]
  const workspace = {
    workspace: WORKSPACE,
    onExpiry: 'hold',
    storage: { backend: 'vaultfs', domain: 'host', volumes },
  }
  const source0 = { expiresAtMs: Date.now() + 86_400_000 }
  const slice = { generation: 1, planDigest: `sha256:${'1'.repeat(64)}`, source: source0, workspaces: [workspace] }
  await driver.commit(await driver.stage(vaultfsBackend.lower(slice)))
  return { bare: source, judged, handed }
}

/** Each round in another order, so that nobody is always first. */
const turned = (list, by) => [...list.slice(by % list.length), ...list.slice(0, by % list.length)]

export async function measure({ atEnd = () => undefined } = {}) {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/fio'))
    return { figure: 'needs root and fio', rows: [], met: false }
  const directory = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'sluice-storage-'))
  const driver = await vaultfsBackend.open({ attachInterfaces: [], stateDirectory: join(directory, 'state') })
  const served = serve(driver, directory)
  let gone
  const takeAway = () => {
    gone ??= served
      .catch(() => undefined)
      .then(() => driver.uninstall())
      .finally(() => rmSync(directory, { recursive: true, force: true }))
    return gone
  }
  atEnd(takeAway)
  try {
    const places = await served
    closeSync(openSync(join(places.bare, 'data'), 'w'))
    fio(places.bare, 'write', ['--bs=1M', '--end_fsync=1'])
    const rows = []
    const handed = {}
    const series = []
    let met = true
    for (const [name, { run, cold, floor }] of Object.entries(WORKLOADS)) {
      const rates = { bare: [], judged: [], handed: [] }
      for (let round = 0; round < ROUNDS; round++)
        for (const [who, at] of turned(Object.entries(places), round)) {
          // What runs waits for its programs, and hears of a signal here only.
          await rest()
          if (gone !== undefined) throw new Error('it was stopped')
          if (cold) for (const place of Object.values(places)) drop(join(place, 'data'))
          else if (name !== 'metadata') fio(at, 'read', ['--bs=1M'])
          rates[who].push(run(at))
        }
      const unit = name === 'metadata' ? ['ops/s', 1] : ['MB/s', 1e6]
      const ratios = (who) => rates[who].map((rate, i) => rate / rates.bare[i])
      const inRounds = (who) => pairedInterval(rates[who], rates.bare, TERMS)
      const shown = (who) => `${Math.round(median(rates[who]) / unit[1])} ${unit[0]}`
      const say = (who) => {
        const { middle, low, high } = inRounds(who)
        const each = ratios(who)
        const values = [middle, low, high, Math.min(...each), Math.max(...each)]
        const [ratio, from, to, least, most] = values.map((one) => one.toFixed(2))
        return `${name}, ${who}: ${ratio} (95 %: ${from} to ${to}; rounds: ${least} to ${most}), ${shown(who)}`
      }
      const ratio = inRounds('handed').middle
      met &&= ratio >= floor
      for (const who of ['judged', 'handed'])
        series.push({
          name: `${name}, ${who}, of the bare directory`,
          unit: 'ratio',
          better: 'higher',
          samples: ratios(who),
        })
      rows.push(`${name}, bare: ${shown('bare')}`, say('handed'), say('judged'))
      const [kind] = /^(4 KiB random|\w+)/.exec(name)
      handed[kind] = Math.min(handed[kind] ?? Number.POSITIVE_INFINITY, ratio)
    }
    const least = Object.entries(handed).map(([kind, ratio]) => `${kind} ${ratio.toFixed(2)}`)
    return { figure: `handed to the kernel, at least: ${least.join(', ')}`, rows, met, series }
  } finally {
    await takeAway()
  }
}
