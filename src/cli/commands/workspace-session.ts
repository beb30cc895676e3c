// `sluice workspace session`: what an access broker says of its sessions, through the companion of the host. Opening one lets its one
// peer come where a signed ingress clause asks for a session; closing it cuts what it let in. The agent judges, and has the record.

import { formatInstant } from '../../bundle/instant.js'
import { cliFault } from '../errors.js'
import { counting, type Declared } from '../frame.js'
import type { CompanionHandle, SessionAnswered, SessionListed } from '../host-companion.js'
import type { Outcome } from '../outcome.js'
import { facts, shown, table } from '../print.js'
import { asking } from './workspace.js'

const ACTIONS = ['open', 'close', 'list'] as const
const WS = 'spiffe://fleet.example/ws/alpha'
const MINUTE_MS = 60_000
const SHORT_MINUTES = 60

interface Words {
  readonly id?: string
  readonly user?: string
  readonly peer?: string
  readonly minutes: number
}

export const workspaceSession: Declared = {
  usage: 'session <action> [workspace]',
  summary: 'open, close and list sessions of the access broker: who may come where a signed clause asks for one',
  examples: [
    `sluice workspace session open ${WS} --id bk-7f21 --user jane --peer 10.60.0.1 --minutes 30`,
    `sluice workspace session close ${WS} --id bk-7f21`,
    'sluice workspace session list',
  ],
  declare: (command) =>
    command
      .option('--id <id>', "the broker's own name for the session: the same one again changes nothing")
      .option('--user <name>', 'whom it lets in')
      .option('--peer <address>', 'the one address that it comes from')
      .option('--minutes <n>', 'how long it may last at most', counting, SHORT_MINUTES)
      .option('--config <file>', 'companion.yaml of this host'),
  run: (context, [given = '', workspace = ''], options) => {
    const action = ACTIONS.find((one) => one === given)
    if (action === undefined) throw cliFault('CLI_SESSION_ACTION', { action: given })
    const words = options as unknown as Words
    return asking(context, options, (companion) => {
      if (action === 'list') return list(companion, workspace)
      return action === 'open' ? open(companion, workspace, words) : close(companion, workspace, words)
    })
  },
}

/** Throws CLI_SESSION_WORDS with all that is missing. */
function required(action: string, words: Readonly<Record<string, string | undefined>>): void {
  const missing = Object.entries(words).flatMap(([name, value]) => (value ? [] : [name]))
  if (missing.length > 0) throw cliFault('CLI_SESSION_WORDS', { action, missing })
}

async function open(companion: CompanionHandle, workspace: string, words: Words): Promise<Outcome> {
  const { id: sessionId = '', user = '', peer = '', minutes } = words
  required('open', { 'a workspace': workspace, '--id': sessionId, '--user': user, '--peer': peer })
  const done = await companion.openSession({ workspace, sessionId, user, peer, lifetimeMs: minutes * MINUTE_MS })
  return {
    json: { ...done },
    text: facts([
      ...about(done),
      ['open until', formatInstant(done.session.expiresAtMs)],
      ['opens', done.grants.join(', ')],
      ...(done.changed ? [] : ([['changed', 'no: it was open already']] as const)),
    ]),
  }
}

async function close(companion: CompanionHandle, workspace: string, { id: sessionId = '' }: Words): Promise<Outcome> {
  required('close', { 'a workspace': workspace, '--id': sessionId })
  const done = await companion.closeSession({ workspace, sessionId })
  return {
    json: { ...done },
    text: facts([
      ...about(done),
      ['ended', done.session.ended?.reason ?? '-'],
      ...(done.changed ? [] : ([['changed', 'no: it was over already']] as const)),
    ]),
  }
}

async function list(companion: CompanionHandle, workspace: string): Promise<Outcome> {
  const sessions = await companion.sessions(workspace)
  return {
    json: { sessions },
    text:
      sessions.length === 0
        ? 'no session was open in the last day\n'
        : table(['workspace', 'session', 'user', 'peer', 'opened by', 'until', 'state'], sessions.map(row)),
  }
}

const about = ({ session, elapsedMs }: SessionAnswered) =>
  [
    ['workspace', session.workspace],
    ['session', `${shown(session.sessionId)} of ${shown(session.user)} from ${session.peer}`],
    ['fence read back', `${elapsedMs.toFixed(1)} ms`],
  ] as const

const row = ({ workspace, sessionId, user, peer, by, expiresAtMs, ended }: SessionListed): readonly string[] => [
  ...[workspace, shown(sessionId), shown(user), peer, shown(by)],
  ...(ended ? [formatInstant(ended.atMs), ended.reason] : [formatInstant(expiresAtMs), 'open']),
]
