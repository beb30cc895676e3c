// The command line: declares every command, reads one line of arguments, runs one command and gives its exit code. Wrong
// usage is 64; the other codes follow from the reaction of the fault (STYLE, "Errors").

import { Command, CommanderError } from 'commander'
import { agentCommand } from './commands/agent.js'
import { applyCommand } from './commands/apply.js'
import { attachCommand } from './commands/attach.js'
import { auditQuery } from './commands/audit-query.js'
import { auditReconcile } from './commands/audit-reconcile.js'
import { auditSeal } from './commands/audit-seal.js'
import { auditVerify } from './commands/audit-verify.js'
import { benchRun } from './commands/bench.js'
import { benchCompare } from './commands/bench-compare.js'
import { quarantineBreakglass } from './commands/breakglass.js'
import { bundleInit } from './commands/bundle-init.js'
import { bundleInspect } from './commands/bundle-inspect.js'
import { bundleKeygen } from './commands/bundle-keygen.js'
import { bundlePack } from './commands/bundle-pack.js'
import { bundlePull } from './commands/bundle-pull.js'
import { bundlePush } from './commands/bundle-push.js'
import { bundleSign } from './commands/bundle-sign.js'
import { bundleVerify } from './commands/bundle-verify.js'
import { companionCommand } from './commands/companion.js'
import { decideAsk } from './commands/decide.js'
import { decideVerify } from './commands/decide-verify.js'
import { detachCommand } from './commands/detach.js'
import { diffCommand } from './commands/diff.js'
import { doctor } from './commands/doctor.js'
import { evidenceMake } from './commands/evidence-make.js'
import { evidenceVerify } from './commands/evidence-verify.js'
import { explainCommand } from './commands/explain.js'
import { floorCommand } from './commands/floor.js'
import { followCommand } from './commands/follow.js'
import { imageFetch } from './commands/image-fetch.js'
import { initCommand } from './commands/init.js'
import { inventorySign } from './commands/inventory-sign.js'
import { mediateCommand } from './commands/mediate.js'
import { migrateCommand } from './commands/migrate.js'
import { planCommand } from './commands/plan.js'
import { policyCheck } from './commands/policy-check.js'
import { policySuggest } from './commands/policy-suggest.js'
import { publishCosign } from './commands/publish-cosign.js'
import { publishDelegation, publishImages, publishRegistration } from './commands/publish-records.js'
import { bundleRollback, publishPromote, publishRelease } from './commands/publish-release.js'
import { publishRevoke, publishRotate } from './commands/publish-root.js'
import { publishBreakglass, publishFreshness } from './commands/publish-statements.js'
import { quarantineLift, quarantineSet } from './commands/quarantine.js'
import { receiptVerify } from './commands/receipt-verify.js'
import { recoverClock, recoverState } from './commands/recover.js'
import { status } from './commands/status.js'
import { uninstall } from './commands/uninstall.js'
import { watchCommand } from './commands/watch.js'
import { WORKSPACE_COMMANDS } from './commands/workspace.js'
import { workspaceSession } from './commands/workspace-session.js'
import { Frame } from './frame.js'
import type { Host } from './host.js'
import { EX_USAGE, printJson } from './outcome.js'

const GROUPS = [
  {
    name: 'bundle',
    say: 'make, sign, check and look into policy bundles',
    rows: [
      bundleKeygen,
      bundleInit,
      bundleSign,
      bundleVerify,
      bundleInspect,
      bundlePack,
      bundlePush,
      bundlePull,
      bundleRollback,
    ],
  },
  {
    name: 'publish',
    say: 'release, co-sign, promote, rotate and revoke keys, confirm freshness',
    rows: [
      publishRelease,
      publishCosign,
      publishPromote,
      publishRotate,
      publishRevoke,
      publishFreshness,
      publishBreakglass,
      publishRegistration,
      publishDelegation,
      publishImages,
    ],
  },
  {
    name: 'audit',
    say: 'check, read and seal the audit journal of a node',
    rows: [auditVerify, auditQuery, auditSeal, auditReconcile],
  },
  { name: 'evidence', say: 'make and check signed evidence of the live fence', rows: [evidenceMake, evidenceVerify] },
  { name: 'receipt', say: 'check signed receipts of quarantines, lifts and kills', rows: [receiptVerify] },
  {
    name: 'decide',
    say: 'ask whether a workspace may do something, and check signed answers',
    rows: [decideAsk, decideVerify],
  },
  { name: 'policy', say: 'check policy documents, and suggest one', rows: [policyCheck, policySuggest] },
  { name: 'inventory', say: 'sign the list of workspaces of a node', rows: [inventorySign] },
  {
    name: 'quarantine',
    say: 'fence a workspace off completely, and let it out again',
    rows: [quarantineSet, quarantineLift, quarantineBreakglass],
  },
  {
    name: 'bench',
    say: 'measure what the fence costs, and compare two runs',
    rows: [benchRun, benchCompare],
  },
  {
    name: 'workspace',
    say: 'make, run and end the workspaces of this host, through its companion',
    rows: [...WORKSPACE_COMMANDS, workspaceSession],
  },
  { name: 'image', say: 'the golden images that machines of this host may boot', rows: [imageFetch] },
  {
    name: 'recover',
    say: 'go on after a lost state or a clock that went back, on your word',
    rows: [recoverClock, recoverState],
  },
] as const
const SINGLE = [
  planCommand,
  applyCommand,
  status,
  watchCommand,
  followCommand,
  mediateCommand,
  agentCommand,
  companionCommand,
  attachCommand,
  detachCommand,
  explainCommand,
  diffCommand,
  doctor,
  floorCommand,
  initCommand,
  migrateCommand,
  uninstall,
] as const

/** Runs one command line (without the program's own name) and gives its exit code. Never throws. */
export async function runCli(line: readonly string[], host: Host): Promise<number> {
  const json = line.includes('--json')
  const frame = new Frame(host, json)
  let said = ''
  const program = new Command('sluice')
    .description('Enforcement plane for AI-agent workspaces: signed policy in, rules in the kernel out.')
    .version(host.version, '-V, --version')
    .exitOverride()
    .configureOutput({
      writeOut: host.write,
      writeErr: (text) => {
        said += text
      },
      // One width everywhere: help reads the same in a terminal, a pipe and the documentation.
      getOutHelpWidth: () => 100,
      getErrHelpWidth: () => 100,
      getOutHasColors: () => host.colour,
      getErrHasColors: () => host.colour,
    })
  for (const group of GROUPS) {
    const parent = program.command(group.name).description(group.say)
    for (const row of group.rows) frame.add(parent, row)
  }
  for (const row of SINGLE) frame.add(program, row)
  try {
    await program.parseAsync([...line], { from: 'user' })
    return frame.exit
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return 0
    const say = said.trim().replace(/^error: /, '')
    // Help for a group without a subcommand is usage too: nothing was done.
    if (json) host.write(printJson({ error: usageShape(say) }))
    else host.writeError(said)
    return EX_USAGE
  }
}

const usageShape = (say: string) => ({
  code: 'USAGE',
  say,
  remedy: 'Run the command with --help for its options and an example.',
  causes: [],
  notes: [],
})
