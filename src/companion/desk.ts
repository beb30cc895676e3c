// What the companion answers at its socket: operations, kills, lists and consoles, over the life of workspaces. What may be asked for at
// all is judged here, before anything is on record: a profile that this host has, and one workspace a slot and a volume.

import { utf8 } from '../base/bytes.js'
import { canonicalize, type Json } from '../base/canonical.js'
import { lifecycleFault } from './lifecycle/errors.js'
import { type KillHost, type KillTarget, kill, means } from './lifecycle/kill.js'
import type { Told } from './lifecycle/lifecycle.js'
import type { Change } from './lifecycle/operations.js'
import { type Profile, readProfile } from './lifecycle/profile.js'
import type { StepDone } from './lifecycle/record.js'
import { type MachineTerms, networkNamed } from './machines.js'

export interface DeskAsked {
  readonly requestId: string
  readonly by: string
  readonly reason: string
}

/** Steps as they are done, by workspace, for whoever waits for an operation. */
export class Onlookers {
  private readonly looking = new Set<(told: Told) => void>()

  told(told: Told): void {
    for (const look of this.looking) look(told)
  }

  async during<T>(look: (told: Told) => void, act: () => Promise<T>): Promise<T> {
    this.looking.add(look)
    try {
      return await act()
    } finally {
      this.looking.delete(look)
    }
  }
}

/** How a stream of security events stands, at the companion's own ear. */
export interface StreamHeard {
  readonly name: string
  readonly kind: string
  readonly standing: string
  /** Milliseconds since 1970; 0: never. */
  readonly heardAtMs: number
  readonly taken: number
  readonly refused: number
  readonly error?: string
}
export interface DeskTerms extends Pick<MachineTerms, 'networks' | 'volumes'> {
  readonly streams: () => readonly StreamHeard[]
}

export function deskOf(kills: KillHost, terms: DeskTerms, onlookers: Onlookers) {
  const { lifecycle } = kills
  const { store, ports } = lifecycle.host
  return {
    change: async (
      asked: DeskAsked & { readonly operation: Change; readonly workspace: string; readonly profile?: unknown },
      told: (step: StepDone) => void,
    ) => {
      const { operation: change, workspace, requestId, by, reason } = asked
      const profile = asked.profile === undefined ? {} : { profile: admit(readProfile(asked.profile)) }
      const look = (one: Told): void => {
        if (one.kind === 'step' && one.workspace === workspace && one.change === change) told(one.done)
      }
      return onlookers.during(look, () => lifecycle.operate({ requestId, change, workspace, by, reason, ...profile }))
    },
    kill: async (
      asked: DeskAsked & { readonly target: KillTarget },
      told: (workspace: string, step: StepDone) => void,
    ) => {
      // Also of the kill of another, where that one was asked for before and answers for this.
      const look = (one: Told): void => {
        if (one.kind === 'step' && one.change === 'kill' && means(lifecycle, asked.target, one.workspace))
          told(one.workspace, one.done)
      }
      const { report, receipt = '' } = await onlookers.during(look, () => kill(kills, asked))
      return { report: utf8(canonicalize(report as unknown as Json)), receipt }
    },
    list: async () => {
      const { machines } = await ports.machine.look()
      const workspaces = lifecycle.all().flatMap((record) => {
        const { workspace, profile, state, incarnation, image, lease, owed, doing } = record
        const machine = machines.find((one) => one.workspace === workspace)?.state ?? ''
        if (!profile) return []
        const steps = owed.map(({ step }) => step)
        return [{ profile, state, machine, incarnation, image, lease, owed: steps, doing: doing?.change ?? '' }]
      })
      return { workspaces, streams: terms.streams() }
    },
    console: (workspace: string, maxBytes: number) => ports.machine.consoleOf(lifecycle.known(workspace), maxBytes),
  }

  /** Throws WORKSPACE_PROFILE. */
  function admit(profile: Profile): Profile {
    networkNamed(terms, profile.network)
    const unknown = profile.volumes.find((name) => !terms.volumes.some((volume) => volume.name === name))
    if (unknown !== undefined) throw lifecycleFault('WORKSPACE_PROFILE', { why: `there is no volume ${unknown}` })
    const other = store
      .all()
      .find((record) => record.profile?.network === profile.network && record.workspace !== profile.workspace)
    if (other)
      throw lifecycleFault('WORKSPACE_PROFILE', { why: `the network ${profile.network} is that of ${other.workspace}` })
    for (const name of profile.volumes) {
      const owner = store
        .all()
        .find((record) => record.profile?.volumes.includes(name) && record.workspace !== profile.workspace)
      if (owner) throw lifecycleFault('WORKSPACE_PROFILE', { why: `the volume ${name} is that of ${owner.workspace}` })
    }
    return profile
  }
}
