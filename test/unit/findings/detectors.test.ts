// Each detector at its limit: what is one short of it is no finding, what meets it is one, and what is not the workspace's doing
// never counts.

import { describe, expect, it } from 'vitest'
import { Detection } from '../../../src/findings/detect.js'
import { split } from '../../../src/findings/dns-entropy.js'
import type { Sight } from '../../../src/findings/sight.js'
import { FINDING_TERMS, type FindingTerms } from '../../../src/findings/terms.js'
import { FACTS, NOW, WORKSPACE } from '../../support/facts.js'
import { asked, at, called, chance, denied, letters, observed, rolledBack } from '../../support/findings/sights.js'

const NODE = 'spiffe://acme.example/node/7'
const run = (sights: readonly Sight[], terms: FindingTerms = FINDING_TERMS) => {
  const detection = new Detection(NODE, terms)
  return sights.flatMap((sight) => detection.see(sight))
}
const words = (sights: readonly Sight[], terms?: FindingTerms): readonly unknown[] =>
  run(sights, terms).map(({ finding, beyond }) => `${finding}: ${String(beyond.evidence.reason)}`)
const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))

describe('denial-burst', () => {
  const { packets, destinations, windowMs } = FINDING_TERMS.denialBurst

  it('counts packets that one event stands for', () => {
    expect(words([denied(NOW, '45.76.1.1', 443, { count: packets - 1 })])).toEqual([])
    expect(words([denied(NOW, '45.76.1.1', 443, { count: packets })])).toEqual(['denial-burst: packets'])
  })

  it('counts destinations: a sweep is one with few packets, and is Network Service Discovery', () => {
    const sweep = times(destinations, (i) => denied(NOW + i, '45.76.1.1', 1 + i))
    expect(words(sweep.slice(1))).toEqual([])
    const [found] = run(sweep)
    expect(found?.beyond).toMatchObject({
      say: `refused at ${destinations} or more destinations within 60 s`,
      technique: { technique: { uid: 'T1046' } },
      evidence: { destinations, refused: destinations },
    })
    expect(found?.subject).toMatchObject({ workspace: WORKSPACE, reach: [WORKSPACE.workspace] })
  })

  it('takes a mixed refusal for as many destinations as it may be', () => {
    expect(words([denied(NOW, '45.76.1.1', 1, { mixed: true, count: destinations })])).toEqual([
      'denial-burst: destinations',
    ])
    expect(run([denied(NOW, '45.76.1.1', 1, { mixed: true, count: destinations })])[0]?.beyond.evidence).toMatchObject({
      last_destinations: ['45.76.1.1 6 1'],
    })
  })

  it('forgets what is older than the window', () => {
    const slow = times(40, (i) => denied(NOW + i * (windowMs / 4), '45.76.1.1', 443, { count: 40 }))
    expect(words(slow)).toEqual([])
    const sparse = times(10 * destinations, (i) => denied(NOW + i * (windowMs / 10), `45.76.1.${i % 250}`, 443))
    expect(words(sparse)).toEqual([])
  })

  it('knows what is usual, and no patience buys silence', () => {
    const rate = (perWindow: number, windows: number, fromMs: number) =>
      times(windows * 12, (i) => denied(fromMs + i * (windowMs / 12), '45.76.1.1', 443, { count: perWindow / 12 }))
    const usual = rate(180, 60, NOW)
    const after = NOW + 60 * windowMs
    expect(words([...usual, ...rate(600, 1, after)])).toEqual([])
    expect(words([...usual, ...rate(1_200, 1, after)])).toEqual(['denial-burst: packets'])
    // Grown over hours as slowly as it may be: at ten times `packets` it ends.
    const patient = times(400, (i) => rate(Math.min(3_000, 180 + 12 * i), 1, NOW + i * windowMs)).flat()
    expect(words(patient)).toContain('denial-burst: packets')
  })

  it.each(['quarantined', 'suspended', 'not-attached', 'noise', 'no-flow'])('never counts %s', (reason) => {
    expect(words([denied(NOW, '45.76.1.1', 443, { reason, count: 100_000, mixed: true })])).toEqual([])
  })

  it('never counts what comes from outside, and keeps workspaces apart', () => {
    const { flow } = denied(NOW, '10.9.0.2', 22)
    expect(words([denied(NOW, '', 0, { flow: { ...flow, direction: 'ingress' }, count: 100_000 })])).toEqual([])
    const two = times(2, (i) => denied(NOW, '45.76.1.1', 443, { workspace: at(`w${i}`), count: packets - 1 }))
    expect(words(two)).toEqual([])
  })

  it('counts refused operations on files', () => {
    expect(words([{ ...FACTS['file-denied'], count: packets }])).toEqual(['denial-burst: packets'])
  })
})

describe('new-destination', () => {
  const terms = { ...FINDING_TERMS, newDestination: { reaction: 'observe' as const, learnMs: 3_600_000 } }
  it('learns first, tells then, and takes a network for a place', () => {
    const learnt = [observed(NOW, '45.76.1.1', 443), observed(NOW + 1, '45.76.2.1', 443)]
    const later = NOW + 3_600_000
    expect(words([...learnt, observed(later, '45.76.1.200', 443)], terms)).toEqual([])
    const [found] = run([...learnt, observed(later, '45.76.3.7', 443)], terms)
    expect(found?.beyond).toMatchObject({ say: 'goes to 45.76.3.0/24 tcp 443 for the first time since it is observed' })
    expect(words([...learnt, observed(later, '45.76.1.1', 22)], terms)).toEqual(['new-destination: destination'])
    expect(words([observed(NOW, '2001:db8::1', 443), observed(later, '2001:db8::2:1', 443)], terms)).toEqual([])
  })
})

describe('dns-entropy', () => {
  const { names, bits } = FINDING_TERMS.dnsEntropy
  const pick = chance(7)
  const tunnel = (count: number, length: number, parent = 'exfil.example', rcode = 'NOERROR') =>
    times(count, (i) => asked(NOW + i * 100, `${letters(pick, length)}.${parent}`, rcode))

  it('tells a tunnel, whatever became of its questions', () => {
    const [found, ...more] = run(tunnel(60, 50, 'exfil.example', 'REFUSED'))
    expect(more).toEqual([])
    expect(found?.beyond).toMatchObject({
      technique: { subTechnique: { uid: 'T1071.004' } },
      evidence: { reason: 'labels', parent: 'exfil.example' },
    })
    expect(Number(found?.beyond.evidence.bits)).toBeGreaterThanOrEqual(bits)
  })

  it('needs many names and much in them', () => {
    expect(words(tunnel(names - 1, 60))).toEqual([])
    expect(words(times(200, (i) => asked(NOW + i, `host${i % 90}.corp.example`)))).toEqual([])
    const [one] = tunnel(1, 60)
    expect(words(times(500, () => one as Sight))).toEqual([])
  })

  it('adds up by parent and within the window', () => {
    const spread = times(40, (i) => tunnel(1, 50, `p${i}.example`)).flat()
    expect(words(spread)).toEqual([])
    const slow = times(60, (i) => ({ ...(tunnel(1, 50)[0] as Sight), atMs: NOW + i * 60_000 }))
    expect(words(slow)).toEqual([])
  })

  it('tells names that a program makes up', () => {
    const made = (count: number) => times(count, (i) => asked(NOW + i, `${letters(pick, 12)}.example`, 'NXDOMAIN'))
    const real = (count: number) => times(count, (i) => asked(NOW + i, 'git.corp.example'))
    const { missing } = FINDING_TERMS.dnsEntropy
    expect(words(made(missing - 1))).toEqual([])
    expect(words(made(missing))).toEqual(['dns-entropy: missing'])
    expect(words([...real(missing + 1), ...made(missing)])).toEqual([])
  })

  it('belongs to somebody', () => {
    expect(words(tunnel(60, 50).map((sight) => ({ ...sight, workspace: at('') })))).toEqual([])
  })

  it.each([
    ['a.b.example.com.', 'example.com', 'a.b'],
    ['A.B.CO.UK', 'b.co.uk', 'a'],
    ['example.com', 'example.com', ''],
    ['localhost', 'localhost', ''],
    ['', '', ''],
  ])('%s is %s under %s', (name, parent, free) => {
    expect(split(name)).toEqual({ parent, free })
  })
})

describe('lifecycle-rate', () => {
  const BY = 'spiffe://acme.example/companion/7'
  const { calls, perWorkspace, refused } = FINDING_TERMS.lifecycleRate
  it('tells too many calls, too many about one workspace, and too many that were refused', () => {
    expect(words(times(calls - 1, (i) => called(NOW + i, BY, 'attach', `w${i}`)))).toEqual([])
    expect(words(times(calls, (i) => called(NOW + i, BY, 'attach', `w${i}`)))).toEqual(['lifecycle-rate: calls'])
    const churn = times(perWorkspace, (i) => called(NOW + i, BY, i % 2 ? 'attach' : 'detach'))
    expect(words(churn.slice(1))).toEqual([])
    expect(words(churn)).toEqual(['lifecycle-rate: perWorkspace'])
    expect(words(times(refused, (i) => called(NOW + i, BY, 'attach', `w${i}`, true)))).toEqual([
      'lifecycle-rate: refused',
    ])
  })
  it('counts calls that were refused before anybody looked whom they were about', () => {
    const found = run(times(refused, (i) => called(NOW + i, BY, 'quarantine-lift', '', true)))
    expect(found.map(({ beyond, subject }) => [beyond.evidence.reason, subject.reach])).toEqual([['refused', []]])
    expect(found[0]?.firstAtMs).toBeLessThanOrEqual(NOW + refused)
    expect(words(times(refused - 1, (i) => called(NOW + i, BY, 'quarantine-lift', '', true)))).toEqual([])
  })
  it('names the caller, and reaches whom it touched', () => {
    const [found] = run(times(perWorkspace, (i) => called(NOW + i, BY, 'quarantine-lift')))
    expect(found?.subject).toEqual({ caller: BY, reach: [WORKSPACE.workspace] })
    expect(found?.beyond.say).toBe(`${BY} made ${perWorkspace} calls about ${WORKSPACE.workspace} within 60 s`)
  })
  it('never counts the agent itself, other commands, or callers together', () => {
    expect(words(times(500, (i) => called(NOW + i, 'sluice', 'quarantine-set')))).toEqual([])
    expect(words(times(500, (i) => called(NOW + i, BY, 'apply')))).toEqual([])
    expect(words(times(calls, (i) => called(NOW + i, `${BY}${i % 20}`, 'attach', `w${i}`)))).toEqual([])
  })
})

describe('rollback-attempt', () => {
  it.each([
    'BUNDLE_COUNTER_REGRESSION',
    'BUNDLE_COUNTER_CONTENT_MISMATCH',
    'BUNDLE_REPLAYED',
    'BUNDLE_SUPERSEDED',
    'AGENT_ROOT_ROLLED_BACK',
  ])('%s', (code) => {
    const [found] = run([rolledBack(NOW, code)])
    expect(found).toMatchObject({
      ...{ finding: 'rollback-attempt', count: 1, subject: { reach: 'node' } },
      beyond: { evidence: { reason: code, offered_revision: '5' }, technique: { subTechnique: { uid: 'T1562.010' } } },
    })
  })
  it.each(['BUNDLE_SIGNATURE', 'BUNDLE_EXPIRED', 'POLICY_REFUSED'])('%s is none', (code) => {
    expect(words([rolledBack(NOW, code)])).toEqual([])
  })
})

it('a detector that is off sees nothing', () => {
  const off = { ...FINDING_TERMS, rollbackAttempt: { reaction: 'off' as const } }
  expect(words([rolledBack(NOW)], off)).toEqual([])
})
