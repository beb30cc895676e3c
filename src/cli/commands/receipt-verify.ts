// `sluice receipt verify`: whether a receipt of a quarantine, a lift or the kill switch is signed by somebody whom the reader trusts, and
// what it says. That of the kill switch is the companion's report with the agents' receipts in it, and each is judged by the keys of
// whoever signed it: where the reader named those of the agents, a fence that is not shown is a refusal. Needs no node and no network.

import { decodeUtf8 } from '../../base/bytes.js'
import { EXIT_CODE } from '../../base/fault.js'
import { formatInstant } from '../../bundle/instant.js'
import { readFile } from '../files.js'
import type { Declared } from '../frame.js'
import type { Outcome } from '../outcome.js'
import { facts, type Paint, shown, table } from '../print.js'
import type { KillView, ReceiptView } from '../witness-host.js'
import { untoldRemark } from './kill-untold.js'

/** As `sluice workspace kill` exits, of a kill that was done in part. */
const EX_PARTIAL = 75

export const receiptVerify: Declared = {
  usage: 'verify <receipt>',
  summary: 'check the signed receipt of a quarantine, a lift or a kill',
  examples: [
    'sluice receipt verify receipt.jws --trust root.json',
    'sluice receipt verify kill.jws --trust host/agent.pub.json --agents root.json',
  ],
  declare: (command) =>
    command
      .requiredOption('--trust <file>', 'trust root with keys of role agent, or the agent.pub.json of who signed it')
      .option('--agents <file>', 'likewise, of the agents whose receipts are in the report of a kill'),
  run: async ({ host, paint }, [file = ''], options) => {
    const { trust, agents } = options as { readonly trust: string; readonly agents?: string }
    const keysOf = (name: string) => ({ file: name, bytes: readFile(host, name, 'trust root') })
    const token = decodeUtf8(readFile(host, file, 'receipt')) ?? ''
    const receipt = await host.witness.verifyReceipt(token, keysOf(trust), ...(agents ? [keysOf(agents)] : []))
    if (!('workspaces' in receipt)) return { json: { ...receipt }, text: receiptText(receipt) }
    return { json: { ...receipt }, text: killText(receipt), ...judged(receipt, agents !== undefined, paint) }
  },
}

/** What a program is to know without reading the text. Without the keys of agents nobody asked whether the fences are shown. */
function judged(
  { partial, workspaces, fences }: KillView,
  isAsked: boolean,
  paint: Paint,
): Pick<Outcome, 'exit' | 'remarks'> {
  const missing = isAsked ? fences.filter(({ proved }) => !proved) : []
  const remarks = [
    ...missing.map(
      ({ workspace, why = '' }) => `${paint('red', 'not shown')}: the fence of ${shown(workspace)}: ${why}\n`,
    ),
    ...workspaces.flatMap(({ workspace, unrecorded }) =>
      unrecorded === undefined
        ? []
        : [`${paint('yellow', 'warning')}: done, and not on record: ${shown(workspace)}: ${shown(unrecorded)}\n`],
    ),
    untoldRemark(workspaces, paint),
  ].join('')
  const exit = missing.length > 0 ? EXIT_CODE.reject : partial ? EX_PARTIAL : 0
  return { exit, ...(remarks === '' ? {} : { remarks }) }
}

function receiptText(receipt: ReceiptView): string {
  const { askedAtMs, fencedAtMs, elapsedMs, quietFromMs, flowsCut, lastByteAtMs, unknown } = receipt
  const notKnown = (why: string | undefined): string => `not known: ${why ?? ''}`
  return facts([
    ['node', receipt.node],
    ['workspace', receipt.workspace],
    ['action', receipt.action],
    ['by', receipt.by],
    ['reason', receipt.reason],
    ['asked at', formatInstant(askedAtMs)],
    ['fence read back at', `${formatInstant(fencedAtMs)}, after ${elapsedMs} ms`],
    ['no packet since', quietFromMs === null ? 'not measured' : formatInstant(quietFromMs)],
    ['flows cut', flowsCut === undefined ? notKnown(unknown.flowsCut) : String(flowsCut)],
    ['last byte of them', lastByteAtMs === undefined ? notKnown(unknown.lastByteAtMs) : formatInstant(lastByteAtMs)],
    ['generation', String(receipt.generation)],
    ...(receipt.volumes ?? []).map(
      ({ name, denied, openFiles, lasting = 0, left }) =>
        [
          `volume ${name}`,
          `${denied ? 'refuses everything' : 'serves'}, ${openFiles === undefined ? 'but for what was mapped before' : `${openFiles} files open`}${lasting > 0 ? `, ${lasting} of them until they are closed` : ''}${left ? '; files that an earlier mount handed over may be open still, and are refused nothing' : ''}`,
        ] as const,
    ),
    ['backends', receipt.backends.join(', ') || 'none: on record only'],
  ])
}

function killText(report: KillView): string {
  const { companion, requestId, target, by, reason, askedAtMs, elapsedMs, partial, workspaces, fences } = report
  const rows = workspaces.map(({ workspace, state, fencedAtMs, owed }) => {
    const fence = fences.find((one) => one.workspace === workspace)
    const { quietFromMs = null } = fence?.receipt ?? {}
    return [
      workspace,
      state,
      fencedAtMs === null ? 'not fenced' : formatInstant(fencedAtMs),
      quietFromMs === null ? '-' : formatInstant(quietFromMs),
      fence?.proved ? 'holds' : `not shown: ${fence?.why ?? ''}`,
      owed.join(' '),
    ]
  })
  const head = facts([
    ['companion', companion],
    ['request', requestId],
    ['target', target.kind],
    ['by', by],
    ['reason', reason],
    ['asked at', `${formatInstant(askedAtMs)}, answered after ${elapsedMs.toFixed(1)} ms`],
    ['done', partial ? 'in part' : 'wholly'],
  ])
  if (rows.length === 0) return head
  return `${head}\n${table(['workspace', 'state', 'fenced at', 'no packet since', "the agent's receipt", 'not done'], rows)}`
}
