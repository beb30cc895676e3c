// What this machine has of what doca-vault needs. Nothing is opened: a card belongs to one process, and asking must not take it from
// the agent that serves by it.

import type { Probe, Probed, VaultOptions } from '../backend.js'
import type { VaultCard } from './native.js'

const yes = (feature: string, why: string): Probe => ({ feature, answer: 'yes', why })
const no = (feature: string, why: string): Probe => ({ feature, answer: 'no', why })

/** `card` is the shim, or why it cannot be used. */
export function probeDocaVault(card: VaultCard | string, options: VaultOptions | undefined): Probed {
  const backend = 'doca-vault'
  if (typeof card === 'string') return { backend, trustDomain: 'host', probes: [no('library', card)] }
  const lacks = options === undefined ? 'agent.yaml has no section doca_vault' : card.lacks(options.card)
  return {
    backend,
    // What the card keeps from its host nobody has looked at here, so the claim is the weakest.
    trustDomain: 'host',
    probes: [
      yes('library', 'the shim over DevEmu virtio-fs'),
      lacks === undefined ? yes('card', `${options?.card} emulates virtio-fs`) : no('card', lacks),
      card.emulated
        ? no('hardware', 'the software card: what it serves, it serves to this process')
        : yes('hardware', 'the library is not the emulator'),
    ],
  }
}
