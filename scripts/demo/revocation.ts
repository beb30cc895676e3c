// A new revision drops a grant while a download runs over it and another over a kept grant. The first must be cut, and stay
// cut when the grant comes back; the second must not notice: no reset, not one segment swallowed, no long silence.

import { OUT, UPLINK, WS } from '../../test/support/lab/addresses.js'
import { textAt } from './product.js'
import { type Applying, apply } from './refusals.js'
import type { Row } from './report.js'
import { longestGap, retransmissions, swallowed, towards } from './tcp-flow.js'
import { because, either } from './terms.js'

const GROUP = 'a revision that drops a grant, under load'
const RATE = 2_000_000
const CUT_MS = 1_000
/** Above what a busy machine does to a download by itself, below a retransmission after a loss (RFC 6298 section 2.4: 1 s). */
const LONG_GAP_MS = 800

/** Retransmissions of the time that it was cut are at most so far apart (RFC 6298 section 5.5). */
const COMEBACK_MS = 20_000

async function until(seen: () => boolean, limitMs: number): Promise<void> {
  for (const end = Date.now() + limitMs; !seen() && Date.now() < end; ) await pause(50)
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))

const row = (probe: string, expected: string, observed: string, clause: string): Row => ({
  group: GROUP,
  probe,
  expected,
  observed,
  clause,
  ok: expected === observed,
})

/** Needs revision 1 live. Leaves revision 3 live, which says what revision 1 said. */
export async function revocation(scene: Applying): Promise<Row[]> {
  const { lab, workshop, product, terms } = scene
  const { ws } = lab
  workshop.without('revision-1', 'revision-2', 'package_registry')
  await workshop.sign('revision-2', 11)
  workshop.copy('revision-1', 'revision-3')
  await workshop.sign('revision-3', 12)
  const wire = await lab.sniff('ws', WS.inside, 90)
  const farEnd = await lab.sniff('out', UPLINK.out.interface, 90)
  const dropped = await ws.download({ host: OUT.registry, port: 443, rate: RATE })
  const kept = await ws.download({ host: OUT.git, port: 443, rate: RATE })
  const state = async () => {
    const [one, two] = await ws.downloads([dropped.number, kept.number])
    if (!one || !two) throw new Error('the station lost a download')
    return { dropped: one, kept: two }
  }
  await pause(1_000)
  const undisturbed = longestGap(towards(wire.frames, kept.localPort))
  const resent = await retransmissions(lab, kept.localPort)

  const second = await apply(product, 'revision-2')
  const rows = [
    row(
      'revision 2 is applied',
      'active',
      textAt(second.json, 'state') || `exit ${second.exit}`,
      'package_registry left out',
    ),
  ]
  await pause(CUT_MS)
  const after = await state()
  const silentMs = Date.now() - after.dropped.lastByteMs
  rows.push(
    row('download over the dropped grant', 'cut', silentMs > CUT_MS - 300 ? 'cut' : 'still running', 'no-grant'),
  )
  await ws.poke(dropped.number).catch(() => undefined)
  await pause(200)
  const notice = either(terms.silent, 'reset', 'open', 'refusals: silent')
  rows.push(
    row(
      'its client learns at its next packet',
      notice.expect,
      (await state()).dropped.state,
      because('no-grant', notice),
    ),
  )
  const fresh = either(terms.silent, 'refused', 'dropped', 'refusals: silent')
  rows.push(await reaches(scene, 'a new connection to the dropped grant', fresh.expect, because('no-grant', fresh)))

  const third = await apply(product, 'revision-3')
  rows.push(
    row(
      'revision 3 gives the grant back',
      'active',
      textAt(third.json, 'state') || `exit ${third.exit}`,
      'package_registry',
    ),
  )
  const back = performance.timeOrigin + performance.now()
  const comeback = either(terms.stateless, 'stays cut', 'goes on', 'flowState: none')
  const isBack = (): boolean =>
    towards(wire.frames, dropped.localPort).some((one) => one.atMs > back && one.payload > 0)
  await pause(1_000)
  // Where no flow is remembered it goes on, once its server tries again.
  if (terms.stateless) await until(isBack, COMEBACK_MS)
  rows.push(
    row(
      'the cut download after that',
      comeback.expect,
      isBack() ? 'goes on' : 'stays cut',
      because('no-flow', comeback),
    ),
  )
  rows.push(await reaches(scene, 'a new connection to the regained grant', 'allowed', 'package_registry'))

  const end = await state()
  const untilMs = performance.timeOrigin + performance.now()
  await wire.settle(30, 300)
  await farEnd.settle(30, 300)
  const received = towards(wire.frames, kept.localPort)
  const seen = {
    resets: received.filter((one) => one.reset).length,
    gone: swallowed(wire.frames, farEnd.frames, kept.localPort, untilMs),
    again: (await retransmissions(lab, kept.localPort)) - resent,
    gapMs: longestGap(received),
  }
  const figures = `${seen.resets} resets, ${seen.gone} segments swallowed, ${seen.again} sent again, longest gap ${seen.gapMs.toFixed(0)} ms (${undisturbed.toFixed(0)} ms before)`
  const calm = end.kept.state === 'open' && seen.resets === 0 && seen.gone === 0 && seen.gapMs < LONG_GAP_MS
  rows.push(
    row(
      'download over the kept grant, both changes',
      'undisturbed',
      calm ? 'undisturbed' : end.kept.state === 'open' ? 'disturbed' : end.kept.state,
      `git_forge; ${figures}`,
    ),
  )
  await ws.stopDownload([dropped.number, kept.number])
  await wire.close()
  await farEnd.close()
  return rows
}

async function reaches({ lab }: Applying, probe: string, expected: string, clause: string): Promise<Row> {
  const got = await lab.ws.httpGet({ host: OUT.registry, port: 443 })
  return row(
    probe,
    expected,
    got.outcome === 'answered' ? 'allowed' : got.outcome === 'timeout' ? 'dropped' : 'refused',
    clause,
  )
}
