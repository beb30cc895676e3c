// Scenes for `tc-flower` in a guest, since the kernel under the tests has no cls_flower: operations are written here, played by
// player.mjs on the guest's kernel with the driver itself, and answered one by one. Frames carry a number at their end, behind
// whatever they say of their length, so that the same octets are judged here and there.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Flag, FlowerOptions } from '../../../src/backends/backend.js'
import type { LearnedGrant, PlanSlice } from '../../../src/plan/model.js'
import { runInGuest } from '../guest/guest.js'
import { repositoryPath } from '../lab/repository.js'
import { frameProgram } from '../lab/wire.js'

export type Operation =
  | { readonly op: 'open' | 'restart'; readonly flower?: FlowerOptions }
  | { readonly op: 'live' | 'stage' | 'shape'; readonly slice: PlanSlice }
  | { readonly op: 'flagDuring'; readonly slice: PlanSlice; readonly workspace: string }
  | { readonly op: 'change'; readonly slices: readonly PlanSlice[]; readonly frames: readonly PlayedFrame[] }
  | { readonly op: 'flag'; readonly workspace: string; readonly flag: Flag; readonly on: boolean }
  | { readonly op: 'learn'; readonly generation: number; readonly grants: readonly LearnedGrant[] }
  | { readonly op: 'clock'; readonly nowMs: number }
  | { readonly op: 'frames'; readonly frames: readonly PlayedFrame[] }
  | { readonly op: 'ip' | 'tc'; readonly line: string }
  | { readonly op: 'observe' | 'inspect' | 'probe' | 'discard' | 'uninstall' | 'watch' | 'closed' }

/** `vm0`: sent by the workspace. `out0`: sent towards it. */
export interface PlayedFrame {
  readonly from: 'vm0' | 'out0'
  readonly hex: string
}

export interface Answer {
  readonly ok?: unknown
  readonly failed?: string
  readonly say?: string
}

/** What became of frames: those that passed by their number, in hex. */
export interface Fates {
  readonly passed: readonly string[]
  readonly refused: number
  readonly changed: number
}

const MARK = 0xa5

/** The frame with its number behind it. */
export const numbered = (frame: Uint8Array, number: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.of(...frame, MARK, (number >> 16) & 255, (number >> 8) & 255, number & 255)
export const nameOfNumber = (number: number): string => number.toString(16).padStart(6, '0')

/** Answers in the order of the operations. Throws with everything that was said when the guest did not get to the end. */
export async function playScene(operations: readonly Operation[], timeoutMs: number): Promise<readonly Answer[]> {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-flower-'))
  try {
    const file = join(directory, 'operations')
    writeFileSync(file, operations.map((operation) => JSON.stringify(operation)).join('\n'))
    const modules = (name: string): { from: string; to: string } => ({
      from: repositoryPath(`node_modules/${name}`),
      to: `/opt/sluice/node_modules/${name}`,
    })
    const { output, code } = await runInGuest({
      command: `${process.execPath} /opt/player.mjs /opt/operations`,
      modules: ['veth', 'bridge', 'dummy', 'sch_ingress', 'cls_flower', 'act_gact', 'act_mirred'],
      programs: [process.execPath, '/usr/sbin/ip', '/usr/sbin/tc'],
      files: [
        { from: repositoryPath('dist'), to: '/opt/sluice/dist' },
        { from: repositoryPath('package.json'), to: '/opt/sluice/package.json' },
        { from: repositoryPath('build/native/libsluice_rtnl.so'), to: '/opt/sluice/build/native/libsluice_rtnl.so' },
        ...['koffi', '@koromix', '@noble/hashes'].map(modules),
        { from: repositoryPath('test/support/flower/player.mjs'), to: '/opt/player.mjs' },
        { from: await frameProgram(), to: '/opt/frame' },
        { from: file, to: '/opt/operations' },
      ],
      memoryMiB: 1536,
      timeoutMs,
    })
    const lines = output.split('\n').filter((line) => line.startsWith('{'))
    if (code !== 0 || lines.length !== operations.length)
      throw new Error(`${lines.length} of ${operations.length} operations were answered:\n${output.slice(-4_000)}`)
    return lines.map((line) => JSON.parse(line) as Answer)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
