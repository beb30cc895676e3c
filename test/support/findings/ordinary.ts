// An hour of ordinary work on one node, as sights: made from a seed, with a clock that is only counted. Six coding workspaces work
// in turns of minutes (clone, install, build, test, browse documentation), and forty more start in one wave. What is refused is
// what is refused in practice: telemetry and update checks that are tried again with growing pauses, both address families of a
// name, time servers, pages that want the names of thirty others. Names churn: content networks with a hash in front, buckets,
// shards, search suffixes. Outside, the Internet knocks.

import type { WorkspaceContext } from '../../../src/audit/fact.js'
import type { Sight } from '../../../src/findings/sight.js'
import { FACTS, POLICY, WORKSPACE } from '../facts.js'
import { asked, at, called, chance, denied, letters, observed } from './sights.js'

const MINUTE = 60_000
const SECOND = 1_000

/** Sights in the order of their times, from `startMs` to an hour later. */
export function ordinaryHour(startMs: number, seed: number): readonly Sight[] {
  const pick = chance(seed)
  const hour: Sight[] = []
  const workspaces = Array.from({ length: 6 }, (_, i) => at(`spiffe://acme.example/ws/coding-${i}`))
  for (const workspace of workspaces) hour.push(...working(startMs, workspace, pick))
  hour.push(...background(startMs, pick), ...wave(startMs + 10 * MINUTE, pick), ...watched(startMs, pick))
  return hour.filter(({ atMs }) => atMs < startMs + 60 * MINUTE).sort((a, b) => a.atMs - b.atMs)
}

type Pick = (below: number) => number

/** Turns of work, one after the other, with pauses in which only the background of a workspace is heard. */
function working(startMs: number, workspace: WorkspaceContext, pick: Pick): Sight[] {
  const out: Sight[] = [...telemetry(startMs, workspace, pick), ...clock(startMs, workspace)]
  const turns = [install, clone, buckets, browse, install, build]
  let nowMs = startMs + pick(5) * MINUTE
  for (let turn = 0; nowMs < startMs + 60 * MINUTE; turn++) {
    const make = turns[(turn + pick(2)) % turns.length] ?? install
    out.push(...make(nowMs, workspace, pick))
    nowMs += (2 + pick(5)) * MINUTE
  }
  return out
}

/** A question in both families, and what the search list of a resolver makes of it now and then. */
function question(atMs: number, workspace: WorkspaceContext, name: string, pick: Pick, rcode = 'NOERROR'): Sight[] {
  const suffixes = pick(8) === 0 ? ['svc.cluster.local', 'cluster.local', 'corp.example'] : []
  return [
    ...suffixes.map((suffix, i) =>
      asked(atMs + i, `${name}.${suffix}`, pick(4) === 0 ? 'NXDOMAIN' : 'REFUSED', workspace),
    ),
    asked(atMs + 5, name, rcode, workspace),
    asked(atMs + 6, name, rcode, workspace),
  ]
}

const PACKAGES = [
  'registry.npm.example',
  'tarballs.npm.example',
  'pypi.example',
  'files.pypi.example',
  'crates.example',
]
/** Hundreds of packages by a few names; some registries shard by content, some scripts of packages want what nobody granted. */
function install(atMs: number, workspace: WorkspaceContext, pick: Pick): Sight[] {
  const out: Sight[] = []
  for (let i = 0; i < 180; i++)
    out.push(...question(atMs + i * 300, workspace, PACKAGES[pick(PACKAGES.length)] ?? '', pick))
  for (let i = 0; i < 14; i++)
    out.push(...question(atMs + i * 2_000, workspace, `d${letters(pick, 13, '0123456789abcdef')}.cdn.example`, pick))
  for (let script = 0; script < 3; script++)
    for (let retry = 0; retry < 5; retry++)
      out.push(
        ...question(
          atMs + script * SECOND + 2 ** retry * SECOND,
          workspace,
          `postinstall-${script}.example`,
          pick,
          'REFUSED',
        ),
        denied(atMs + script * SECOND + 2 ** retry * SECOND, `45.77.${script}.9`, 443, { workspace, count: 2 }),
      )
  return out
}

function clone(atMs: number, workspace: WorkspaceContext, pick: Pick): Sight[] {
  const names = ['git.example', 'codeload.git.example', 'objects.git.example', 'lfs.git.example']
  return names.flatMap((name, i) => [
    ...question(atMs + i * SECOND, workspace, name, pick),
    {
      ...FACTS['flow-allowed'],
      atMs: atMs + i * SECOND + 500,
      workspace,
      traffic: { packets: 40_000, bytes: 56_000_000 },
    },
    { ...FACTS['name-granted'], atMs: atMs + i * SECOND + 20, workspace, name },
  ])
}

/** Object storage by the name of the bucket, in regions, and managed services with generated names. */
function buckets(atMs: number, workspace: WorkspaceContext, pick: Pick): Sight[] {
  return Array.from({ length: 22 }, (_, i) => {
    const bucket = `team-data-${['raw', 'clean', 'models', 'logs'][i % 4] ?? ''}-${letters(pick, 6, '0123456789abcdef')}`
    return question(atMs + i * 3_000, workspace, `${bucket}.s3.eu-central-${1 + (i % 2)}.cloud.example`, pick)
  }).flat()
}

/** Documentation in a browser: each page wants names that nobody granted, and some of its addresses by heart. */
function browse(atMs: number, workspace: WorkspaceContext, pick: Pick): Sight[] {
  const out: Sight[] = []
  const words = ['static', 'analytics', 'fonts', 'ads', 'pixel', 'consent', 'images', 'api', 'tags', 'metrics']
  for (let page = 0; page < 12; page++) {
    const loadedMs = atMs + page * 15 * SECOND
    for (let i = 0; i < 30; i++)
      out.push(asked(loadedMs + i * 20, `${words[i % 10] ?? ''}${i}.third-${pick(60)}.example`, 'REFUSED', workspace))
    for (let i = 0; i < 4; i++)
      out.push(denied(loadedMs + i * 50, `45.78.0.${i}`, 443, { workspace, count: 3, ...QUIC(i) }))
  }
  return out
}

/** QUIC is tried before TCP. */
const QUIC = (i: number) => {
  const { flow } = denied(0, `45.78.0.${i}`, 443)
  return i % 2 === 0 ? {} : { flow: { ...flow, protocol: 17 } }
}

function build(atMs: number, workspace: WorkspaceContext, pick: Pick): Sight[] {
  const cache = Array.from({ length: 40 }, (_, i) =>
    question(atMs + i * SECOND, workspace, `cache-${i % 6}.build.example`, pick),
  )
  const files = Array.from(
    { length: 8 },
    (_, i): Sight => ({ ...FACTS['file-denied'], atMs: atMs + i * 4_000, workspace, count: 1 }),
  )
  // A change of policy took a stream away while it ran.
  const { flow } = denied(atMs, '45.79.0.1', 5000)
  const cut = denied(atMs + 9_000, '45.79.0.1', 5000, {
    ...{ workspace, count: 900, reason: 'no-flow', refusal: 'dropped' as const, flow: { ...flow, protocol: 17 } },
  })
  return [...cache.flat(), ...files, cut]
}

/** Five endpoints that are not granted, tried for ever with pauses up to a minute; a library that tries every second for a while. */
function telemetry(startMs: number, workspace: WorkspaceContext, pick: Pick): Sight[] {
  const out: Sight[] = []
  for (let endpoint = 0; endpoint < 5; endpoint++)
    for (
      let atMs = startMs + pick(MINUTE), pause = SECOND;
      atMs < startMs + 60 * MINUTE;
      atMs += pause + pick(SECOND)
    ) {
      out.push(denied(atMs, `45.76.0.${endpoint}`, 443, { workspace, count: 1 + pick(2) }))
      out.push(asked(atMs, `t${endpoint}.telemetry.example`, 'REFUSED', workspace))
      pause = Math.min(MINUTE, pause * 2)
    }
  const stubbornMs = startMs + pick(40) * MINUTE
  for (let i = 0; i < 180; i++) out.push(denied(stubbornMs + i * SECOND, '45.76.0.9', 8125, { workspace }))
  return out
}

const clock = (startMs: number, workspace: WorkspaceContext): Sight[] =>
  Array.from({ length: 56 }, (_, i) => {
    const { flow } = denied(0, `45.75.0.${i % 4}`, 123)
    return denied(startMs + i * 64 * SECOND, `45.75.0.${i % 4}`, 123, { workspace, flow: { ...flow, protocol: 17 } })
  })

/** Knocks from outside, the node's own business, and a bundle an hour. */
function background(startMs: number, pick: Pick): Sight[] {
  const out: Sight[] = []
  for (let s = 0; s < 3_600; s += 2) {
    const { flow } = denied(0, '10.9.0.2', 22)
    const outside = {
      ...flow,
      direction: 'ingress' as const,
      source: `45.${pick(200)}.1.1`,
      destinationPort: pick(60_000),
    }
    out.push(denied(startMs + s * SECOND, '10.9.0.2', 22, { flow: outside, count: 1 + pick(40), refusal: 'dropped' }))
    out.push(denied(startMs + s * SECOND, 'ff02::1', 0, { reason: 'noise', count: 1 + pick(5), refusal: 'dropped' }))
  }
  for (let m = 0; m < 60; m++) out.push({ ...FACTS.heartbeat, atMs: startMs + m * MINUTE })
  const { held, ...refused } = { ...FACTS['bundle-refused'], held: POLICY }
  out.push(
    { ...FACTS['bundle-verified'], atMs: startMs + 20 * MINUTE },
    { ...FACTS['bundle-activated'], atMs: startMs + 20 * MINUTE + 200 },
    { ...refused, held, atMs: startMs + 30 * MINUTE, code: 'BUNDLE_NOT_YET_VALID', attack: false },
    { ...FACTS['journal-closed'], atMs: startMs + 59 * MINUTE },
  )
  return out
}

/** Forty workspaces are started by one companion, and a few of them once more. */
function wave(atMs: number, pick: Pick): Sight[] {
  const by = 'spiffe://acme.example/companion/7'
  return Array.from({ length: 40 }, (_, i): Sight[] => {
    const workspace = `spiffe://acme.example/ws/wave-${i}`
    const startedMs = atMs + i * 700 + pick(500)
    const attached: Sight = { ...FACTS['workspace-attached'], atMs: startedMs + 5, workspace: at(workspace), by }
    const again = pick(6) === 0
    return [
      called(startedMs, by, 'attach', workspace),
      attached,
      ...(again
        ? [called(startedMs + 20_000, by, 'detach', workspace), called(startedMs + 21_000, by, 'attach', workspace)]
        : []),
    ]
  }).flat()
}

/** One workspace is observed since an hour ago or less: all of it is learnt from. */
const watched = (startMs: number, pick: Pick): Sight[] =>
  Array.from({ length: 400 }, (_, i) => ({
    ...observed(startMs + i * 9_000, `45.${80 + pick(4)}.${pick(30)}.${pick(250)}`, pick(2) === 0 ? 443 : 80),
    workspace: { ...WORKSPACE, workspace: 'spiffe://acme.example/ws/observed' },
  }))
