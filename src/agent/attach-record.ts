// Tenures: who has which slot since when, as a value and in its one byte form (record.ts). One a workspace: a later tenure
// replaces the one before it, and a detached one stays, so that its number is never given out again.

import type { Json } from '../base/canonical.js'
import type { Slot, SlotKind } from '../plan/inventory.js'
import type { WorkspaceId } from '../plan/model.js'
import { Fields, RecordProblem, seal, unseal } from './record.js'

export const TENURES_FORMAT = 'sluice-tenures/1'

export interface Tenure {
  readonly workspace: WorkspaceId
  readonly attachmentId: string
  /** Only grows, for each workspace. */
  readonly leaseGeneration: number
  readonly kind: SlotKind
  readonly interface: string
  readonly by: string
  readonly atMs: number
  /** False after a detach: denied until the next attach. */
  readonly attached: boolean
  /** The agent made the interface and takes it away again. */
  readonly made: boolean
}

export const encodeTenures = (list: readonly Tenure[]): string =>
  seal(
    TENURES_FORMAT,
    list.map((entry) => ({ ...entry, attached: Number(entry.attached), made: Number(entry.made) })),
  )

/** Throws RecordProblem for anything that `encodeTenures` did not write. */
export function decodeTenures(bytes: Uint8Array): readonly Tenure[] {
  const list = unseal(bytes, TENURES_FORMAT)
  if (!Array.isArray(list)) throw new RecordProblem('damaged', 'the body is not a list')
  return (list as readonly Json[]).map((item) => {
    const at = new Fields(item, 'tenure')
    return {
      workspace: at.text('workspace'),
      attachmentId: at.text('attachmentId'),
      leaseGeneration: at.count('leaseGeneration'),
      kind: at.text('kind') as SlotKind,
      interface: at.text('interface'),
      by: at.text('by'),
      atMs: at.count('atMs'),
      attached: at.count('attached') === 1,
      made: at.count('made') === 1,
    }
  })
}

export const withTenure = (list: readonly Tenure[], added: Tenure): readonly Tenure[] =>
  [...list.filter((entry) => entry.workspace !== added.workspace), added].sort((a, b) =>
    a.workspace < b.workspace ? -1 : 1,
  )

/** May this workspace have traffic at all? One that has no tenure may where the inventory alone attaches (`required`). */
export function isHeld(list: readonly Tenure[], workspace: WorkspaceId, slot: Slot, required: boolean): boolean {
  const tenure = list.find((entry) => entry.workspace === workspace)
  // A tenure of another slot ended when the inventory moved the workspace.
  return tenure ? tenure.attached && tenure.interface === slot.interface : !required
}
