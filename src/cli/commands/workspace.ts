// `sluice workspace`: the life of the workspaces of this host, as the running companion has it. One table of verbs, their words and
// their options; each asks the companion over its socket and prints what became of it. Steps are told as they are done where somebody
// looks on. Something that was not done exits with 75, and the companion goes on trying.

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { hex } from '../../base/bytes.js'
import { LIMITS } from '../../base/limits.js'
import { cliFault } from '../errors.js'
import { readFile, writeFile } from '../files.js'
import { type Context, collect, counting, type Declared } from '../frame.js'
import type { Host } from '../host.js'
import type {
  CompanionHandle,
  ConfiguredCompanion,
  WorkspaceChange,
  WorkspaceListed,
  WorkspaceProfile,
  WorkspaceStep,
  WorkspacesKilled,
  WorkspaceTarget,
} from '../host-companion.js'
import type { Outcome } from '../outcome.js'
import { facts, shown, table } from '../print.js'
import { untoldOf, untoldRemark } from './kill-untold.js'
import { streamTable } from './stream-table.js'

const PLACES = ['companion.yaml', '/etc/sluice/companion.yaml'] as const
const EX_PARTIAL = 75
const WS = 'spiffe://fleet.example/ws/alpha'

interface Words {
  readonly config?: string
  readonly reason?: string
  readonly requestId?: string
}

/** `--config`, then SLUICE_COMPANION, then `companion.yaml` here, then the system's. Throws CLI_NO_CONFIG. */
export function findCompanion(
  context: Context,
  named: string | undefined,
): ConfiguredCompanion & { readonly bytes: Uint8Array } {
  const { host } = context
  const chosen = named ?? host.environment('SLUICE_COMPANION')
  const path = chosen || PLACES.find((place) => existsSync(resolve(host.cwd, place)))
  if (path === undefined) throw cliFault('CLI_NO_CONFIG', { tried: ['SLUICE_COMPANION', ...PLACES].join(', ') })
  const bytes = readFile(host, path, 'configuration', LIMITS.manifestBytes)
  context.remember(path, bytes)
  return { ...host.companion.configure(path, bytes), bytes }
}

export async function asking(
  context: Context,
  { config }: Words,
  run: (companion: CompanionHandle) => Promise<Outcome>,
): Promise<Outcome> {
  const companion = context.host.companion.open(findCompanion(context, config).socket)
  try {
    return await run(companion)
  } finally {
    companion.close()
  }
}

const requestIdOf = (host: Host, { requestId }: Words): string => requestId ?? `cli-${hex(host.random(12))}`

const asked = (command: Command): Command =>
  command
    .option('--request-id <id>', 'asks for the same answer again instead of doing it twice')
    .option('--config <file>', 'companion.yaml of this host')

const CHANGES: Readonly<
  Record<WorkspaceChange, { readonly say: string; readonly more?: string; readonly why?: true }>
> = {
  create: {
    say: 'fix the profile of a workspace, and make its layer over the newest approved image',
    more: ' --user jane --image base --network ws0',
  },
  start: { say: 'attach it, prove its fence, and only then let its machine run' },
  stop: { say: 'shut its machine down and give its slot back; this fences nothing: see kill' },
  rebake: { say: 'give it a fresh layer over the newest approved image; its volumes stay' },
  revoke: {
    say: "take a workspace's authority away: fence, sessions, then an orderly end",
    why: true,
    more: " --reason 'left the team'",
  },
  delete: { say: 'remove what is left of a workspace that does not run' },
}

const change = (operation: WorkspaceChange): Declared => {
  const { say, more = '', why } = CHANGES[operation]
  return {
    usage: `${operation} <workspace>`,
    summary: say,
    examples: [`sluice workspace ${operation} ${WS}${more}`],
    declare: (command) => {
      if (operation === 'create') profileOptions(command)
      if (why) command.requiredOption('--reason <text>', 'why, for the trail')
      else command.option('--reason <text>', 'why, for the trail')
      return asked(command)
    },
    run: (context, [workspace = ''], options) =>
      asking(context, options, async (companion) => {
        const { host } = context
        const words = options as Words
        const profile = operation === 'create' ? { profile: profileOf(workspace, options) } : {}
        const reason = words.reason ?? `${operation} by ${host.operator}`
        const request = { requestId: requestIdOf(host, words), operation, workspace, reason, ...profile }
        const done = await companion.change(request, (step) => {
          if (host.colour) host.writeError(`  ${inkOf(context, step)(stepLine(step))}\n`)
        })
        return {
          json: { requestId: request.requestId, workspace, ...done },
          text: facts([
            ['workspace', workspace],
            ['state', done.state],
            ...done.steps.map(({ step, ...rest }) => [step, stepWords(rest)] as const),
            ...(done.owed.length > 0 ? ([['not done', done.owed.join(', ')]] as const) : []),
          ]),
          ...(done.owed.length > 0 ? { remarks: owedRemark(context), exit: EX_PARTIAL } : {}),
        }
      }),
  }
}

const stepWords = ({ outcome, elapsedMs, what, why }: Omit<WorkspaceStep, 'step'>): string =>
  [outcome === 'done' ? '' : outcome, `${elapsedMs.toFixed(1)} ms`, what ?? why ?? '']
    .filter((part) => part !== '')
    .join('  ')
const stepLine = ({ step, outcome, elapsedMs, why }: WorkspaceStep): string =>
  `${step} ${outcome} (${elapsedMs.toFixed(1)} ms)${why === undefined ? '' : `: ${shown(why)}`}`
const inkOf =
  ({ paint }: Context, { outcome }: WorkspaceStep) =>
  (line: string): string =>
    paint(outcome === 'done' ? 'green' : 'red', line)
const owedRemark = ({ paint }: Context): string =>
  `${paint('yellow', 'warning')}: not everything was done; the companion goes on trying\n`

function profileOptions(command: Command): void {
  command
    .requiredOption('--user <name>', 'whose it is: one user')
    .requiredOption('--image <name>', 'an image of the signed manifest')
    .requiredOption('--network <name>', 'a network of companion.yaml: its slot')
    .option('--cpus <n>', 'virtual CPUs', counting, 1)
    .option('--memory <mib>', 'MiB', counting, 512)
    .option('--channel <name>', 'channel of its policy', 'stable')
    .option('--baseline', 'run while no policy is live and everything is denied, instead of waiting for one')
    .option('--volume <name>', 'a persistent volume of companion.yaml (repeat)', collect)
    .option('--session <id>', 'what the identity provider calls its session, for events of revocation', '')
    .option('--device <id>', 'what the identity provider calls its device, for events of revocation')
}

function profileOf(workspace: string, options: Readonly<Record<string, unknown>>): WorkspaceProfile {
  const { user, image, network, cpus, memory, channel, baseline, volume, session, device } = options as {
    readonly user: string
    readonly image: string
    readonly network: string
    readonly cpus: number
    readonly memory: number
    readonly channel: string
    readonly baseline?: true
    readonly volume?: readonly string[]
    readonly session: string
    readonly device?: string
  }
  const policy = baseline ? 'baseline' : 'wait-initial'
  const known = { workspace, user, session, ...(device === undefined ? {} : { device }) }
  return { ...known, image, cpus, memoryMiB: memory, network, channel, policy, volumes: volume ?? [] }
}

export const workspaceKill: Declared = {
  usage: 'kill [workspace]',
  summary: 'the kill switch: fence first, then machines, then sessions; one signed receipt',
  examples: [
    `sluice workspace kill ${WS} --reason 'incident 4711' --receipt kill.jws`,
    "sluice workspace kill --user jane --reason 'credentials stolen'",
    "sluice workspace kill --everything --reason 'incident 4711'",
  ],
  declare: (command) =>
    asked(
      command
        .requiredOption('--reason <text>', 'why, for the trail and the receipt')
        .option('--user <name>', 'every workspace of that user')
        .option('--image <name>', 'every workspace of that image, by name or name@version')
        .option('--everything', 'every workspace of this host')
        .option('--receipt <file>', 'write the signed receipt there'),
    ),
  run: (context, [workspace], options) => {
    const target = targetOf(workspace, options)
    return asking(context, options, async (companion) => {
      const { host, paint } = context
      const words = options as Words & { readonly receipt?: string }
      const requestId = requestIdOf(host, words)
      const request = { requestId, reason: words.reason ?? '', target }
      const { report, receipt } = await companion.kill(request, (name, step) => {
        if (host.colour) host.writeError(`  ${inkOf(context, step)(`${name} ${stepLine(step)}`)}\n`)
      })
      if (words.receipt !== undefined) {
        if (receipt === undefined) throw cliFault('CLI_NO_RECEIPT', { workspace: workspace ?? 'the workspaces' })
        writeFile(host, words.receipt, receipt)
      }
      const { partial, workspaces } = report
      return {
        json: { ...report, ...(receipt === undefined ? {} : { receipt }) },
        text:
          workspaces.length === 0
            ? 'no workspace here is meant\n'
            : table(
                ['workspace', 'user', 'state', 'fence', 'machine', 'sessions', 'not done'],
                workspaces.map(killedRow),
              ),
        ...(partial ? { exit: EX_PARTIAL } : {}),
        remarks: [
          ...(partial ? [`${paint('red', 'partial')}: ${notDone(report)}; the companion goes on trying\n`] : []),
          ...workspaces.flatMap(({ workspace: name, unrecorded }) =>
            unrecorded === undefined
              ? []
              : [`${paint('yellow', 'warning')}: done, and not on record: ${name}: ${shown(unrecorded)}\n`],
          ),
          untoldRemark(workspaces, paint),
        ].join(''),
      }
    })
  },
}

function killedRow({ workspace, user, state, steps, owed }: WorkspacesKilled['workspaces'][number]): readonly string[] {
  const of = (name: string): string => {
    const step = steps.find((one) => one.step === name)
    return step ? (step.outcome === 'done' ? `${step.elapsedMs.toFixed(1)} ms` : step.outcome) : '-'
  }
  const sessions = untoldOf(steps) === undefined ? of('sessions') : 'nobody told'
  return [workspace, user, state, of('fence'), of('end'), sessions, owed.join(' ')]
}

const notDone = ({ workspaces }: WorkspacesKilled): string =>
  workspaces
    .flatMap(({ workspace, steps }) =>
      steps
        .filter(({ outcome }) => outcome !== 'done')
        .map(({ step, why = '' }) => `${step} of ${workspace}${why === '' ? '' : ` (${shown(why)})`}`),
    )
    .join('; ')

/** Exactly one of them: nobody kills more than they named. Throws CLI_KILL_TARGET. */
function targetOf(workspace: string | undefined, options: Readonly<Record<string, unknown>>): WorkspaceTarget {
  const { user, image, everything } = options as { user?: string; image?: string; everything?: true }
  const named: readonly WorkspaceTarget[] = [
    ...(workspace === undefined ? [] : [{ kind: 'workspace', workspace } as const]),
    ...(user === undefined ? [] : [{ kind: 'user', user } as const]),
    ...(image === undefined ? [] : [{ kind: 'image', image } as const]),
    ...(everything ? [{ kind: 'everything' } as const] : []),
  ]
  const [target, ...more] = named
  if (!target || more.length > 0) throw cliFault('CLI_KILL_TARGET', undefined)
  return target
}

export const workspaceList: Declared = {
  usage: 'list',
  summary: 'every workspace of this host, what really runs, and which streams of security events it hears',
  examples: ['sluice workspace list'],
  declare: (command) => command.option('--config <file>', 'companion.yaml of this host'),
  run: (context, _positional, options) =>
    asking(context, options, async (companion) => {
      const { workspaces, streams } = await companion.list()
      const heading = ['workspace', 'user', 'state', 'machine', 'image', 'lease', 'under way', 'not done']
      const listed =
        workspaces.length === 0 ? 'there is no workspace on this host\n' : table(heading, workspaces.map(listedRow))
      return {
        json: { workspaces, streams },
        text: streams.length === 0 ? listed : `${listed}\n${streamTable(streams)}`,
      }
    }),
}

const listedRow = ({ profile, state, machine, image, lease, doing, owed }: WorkspaceListed): readonly string[] => [
  profile.workspace,
  profile.user,
  state,
  machine || '-',
  image,
  String(lease),
  doing || '-',
  owed.join(' '),
]

const CONSOLE_BYTES = 64 << 10

export const workspaceConsole: Declared = {
  usage: 'console <workspace>',
  summary: 'the end of what a machine said on its serial line; it may say anything',
  examples: [`sluice workspace console ${WS} --bytes 4096`],
  declare: (command) =>
    command
      .option('--bytes <n>', 'at most that much of it', counting, CONSOLE_BYTES)
      .option('--config <file>', 'companion.yaml of this host'),
  run: (context, [workspace = ''], options) =>
    asking(context, options, async (companion) => {
      const output = Buffer.from(await companion.console(workspace, options.bytes as number)).toString('utf8')
      // What a machine writes must not steer a terminal.
      const text = output
        .split(/\r?\n/)
        .map((line) => shown(line.replaceAll('\t', '    ')))
        .join('\n')
      return { json: { workspace, output }, text: `${text.trimEnd()}\n` }
    }),
}

export const WORKSPACE_COMMANDS: readonly Declared[] = [
  ...(['create', 'start', 'stop', 'rebake', 'revoke'] as const).map(change),
  workspaceKill,
  change('delete'),
  workspaceList,
  workspaceConsole,
]
