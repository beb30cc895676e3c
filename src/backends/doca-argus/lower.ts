// From a plan to whom Argus watches, and its configuration: exactly the machines of the plan, by the VUID of their function, and no
// detector switched off. The keys are those that were seen in the field; the schema belongs to the tag of the container, so
// whoever deploys it compares (deploy/argus/README.md). Argus is told no rule: it has none.

import type { PlanSlice, WorkspacePlan } from '../../plan/model.js'
import type { ArgusProgram, Watched } from './program.js'

/** The device through which Argus reads the memory of the host: functions of the second port cannot be looked at. */
export const DMA_DEVICE = 'mlx5_0'

export function lower({ generation, planDigest, workspaces }: PlanSlice): ArgusProgram {
  const watched = workspaces.filter(({ process }) => process?.detects?.backend === 'doca-argus').map(watchedOf)
  return { generation, planDigest, watched, configuration: configurationOf(watched) }
}

function watchedOf({ workspace, slot }: WorkspacePlan): Watched {
  const vuid = slot.vuid ?? slot.interface
  return {
    workspace,
    system: `ws-${vuid.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`,
    vuid,
    slot: { mac: slot.mac, addresses: slot.addresses },
  }
}

function configurationOf(watched: readonly Watched[]): string {
  const systems = watched.flatMap(({ system, vuid }) => [
    `    ${system}:`,
    `      dma_device_name: ${JSON.stringify(DMA_DEVICE)}`,
    `      representor_id: ${JSON.stringify(vuid)}`,
  ])
  return [
    '# Written by sluice: the machines of the plan that is live. Changes here are lost with the next plan.',
    'apsh_config:',
    // Machines that no policy speaks of are not looked into.
    '  auto_scan: false',
    ...(systems.length === 0 ? ['  systems: {}'] : ['  systems:', ...systems]),
    'shell_command:',
    '  disable_scan: false',
    'shell_history_cleared:',
    '  disable_scan: false',
    'shell_history_disabled:',
    '  disable_scan: false',
    '',
  ].join('\n')
}
