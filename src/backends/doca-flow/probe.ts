// What this machine's DOCA can do for the fence. Nothing is opened: a device belongs to one process, and asking must not take
// it from the agent that holds it.

import type { Probe, Probed } from '../backend.js'
import { lookForCard } from './card.js'
import { tracks } from './device.js'
import type { Native } from './native.js'
import { limitWords } from './room.js'

const yes = (feature: string, why: string): Probe => ({ feature, answer: 'yes', why })
const no = (feature: string, why: string): Probe => ({ feature, answer: 'no', why })

export function probeDoca(native: Native): Probed {
  const { release, shape, updates, emulated, limits } = native.facts()
  const tracking = tracks(native)
  const devices = native.devices()
  const probes = [
    yes('library', `DOCA ${release}, calls of ${shape / 10}`),
    devices.length > 0 ? yes('device', devices.join(', ')) : no('device', 'no device is there to be fenced on'),
    // No release says whether its prefix and ACL pipes take IPv6; a stage that they refuse changes nothing that is live.
    yes('ipv6', 'assumed: a release without it refuses the pipe, and the bundle with it'),
    updates
      ? yes('update', 'entries are pointed elsewhere in place')
      : no('update', 'entries are taken away and added again: a change of plan closes a workspace for moments'),
    shape >= 33
      ? yes('samples', 'refused packets can be shown, as far as a queue holds them')
      : no('samples', 'this release has no queue without DPDK: refused packets are counted and not shown'),
    tracking
      ? yes('tracking', 'connections are tracked: replies pass by the flow that they answer')
      : no(
          'tracking',
          `${shape >= 33 ? 'the device cannot, or it is switched off' : 'this release has no queue without DPDK'}: replies pass by the reversed grant`,
        ),
    emulated
      ? no('hardware', 'the software BlueField: every figure is emulated')
      : yes('hardware', 'the library is not the emulator'),
  ]
  const said = { backend: 'doca-flow' as const, limits: limitWords(limits) }
  if (emulated) {
    const closed = yes('bridge', 'the emulated card keeps its cables closed without an agent')
    return { ...said, trustDomain: 'host', probes: [...probes, closed] }
  }
  const card = lookForCard()
  return { ...said, trustDomain: card.trustDomain, probes: [...probes, ...card.probes] }
}
