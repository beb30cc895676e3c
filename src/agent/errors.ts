// Fault codes of the agent: configuration, durable store, lock, and the outcome of putting a plan in place.
//
// What the bundle, the policy or a backend refuses keeps its own code; these are only the agent's own reasons. A store
// that cannot be trusted stops the agent from changing anything (design section 7): what is live goes on being enforced.

import { type FaultTable, faultsOf } from '../base/fault.js'
import { quote } from '../base/quote.js'

const notesOf = (count: number): string => (count === 1 ? '1 finding' : `${count} findings`)

export const AGENT_FAULTS = {
  AGENT_CONFIG: {
    reaction: 'reject',
    say: (d: { file: string; errors: number }) => `${d.file} is not a usable configuration: ${notesOf(d.errors)}`,
    remedy: 'Correct the findings; `sluice init` writes a commented example.',
  },
  AGENT_CONFIG_READ: {
    reaction: 'reject',
    say: (d: { what: string; file: string }) => `cannot read the ${d.what} ${d.file}`,
    remedy: 'Check the path, and that this user may read it.',
  },
  AGENT_STORE_MISSING: {
    reaction: 'reject',
    say: (d: { directory: string }) => `no agent state in ${d.directory}`,
    remedy:
      'If this node has never held a bundle, run `sluice apply --first`. Otherwise restore the directory: without it an old bundle would be accepted again.',
  },
  AGENT_STORE_EXISTS: {
    reaction: 'reject',
    say: (d: { directory: string }) => `${d.directory} holds agent state already`,
    remedy: 'Leave out `--first`: this node has held a bundle before.',
  },
  AGENT_STORE_DAMAGED: {
    reaction: 'bug',
    say: (d: { file: string; why: string }) => `${d.file} is damaged or was changed by hand: ${d.why}`,
    remedy: 'Restore the state directory from a copy. Nothing is changed until then; what is live stays enforced.',
  },
  AGENT_STORE_FORMAT: {
    reaction: 'unsupported',
    say: (d: { file: string; format: string }) =>
      `${d.file} has the format ${d.format}, which this release cannot read`,
    remedy: 'Use the release that wrote it, or a newer one.',
  },
  AGENT_STORE_NEWER: {
    reaction: 'unsupported',
    say: (d: { directory: string; format: number; known: number }) =>
      `the state in ${d.directory} is of a newer release: it has format ${d.format}, and this one reads formats up to ${d.known}`,
    remedy:
      'Nothing was changed, and what is live stays enforced. Start the newer release again; to go back, stop it and let it run `sluice migrate --to` with the format that this release reads.',
  },
  AGENT_STORE_NO_WAY: {
    reaction: 'unsupported',
    say: (d: { from: number; to: number; newest: number }) =>
      `there is no way from store format ${d.from} to ${d.to}: this release knows formats 1 to ${d.newest}`,
    remedy: 'Name a format that both releases know; `sluice migrate` without `--to` says which one is there.',
  },
  AGENT_STORE_WRITE: {
    reaction: 'retry',
    say: (d: { file: string }) => `cannot write ${d.file}`,
    remedy: 'Free space or mend the file system, then run the command again.',
  },
  AGENT_REVOKED_FULL: {
    reaction: 'unsupported',
    say: (d: { file: string; most: number }) => `${d.file} holds ${d.most} revocations of one kind already`,
    remedy:
      'Somebody revokes without end. Nothing held is dropped; the new one is not acknowledged. Quarantine by hand, and look at who sends.',
  },
  AGENT_BUSY: {
    reaction: 'retry',
    say: (d: { file: string }) => `another sluice command holds ${d.file}`,
    remedy: 'Wait for it to end, then run the command again.',
  },
  AGENT_SLOT_MISMATCH: {
    reaction: 'reject',
    say: (d: { workspace: string; found: string; inventory: string }) =>
      `the inventory binds ${d.workspace} to ${d.inventory}, not to ${d.found}`,
    remedy: 'Attach it to the slot that the signed inventory names, or sign a new inventory.',
  },
  AGENT_SLOT_ABSENT: {
    reaction: 'retry',
    say: (d: { slot: string }) => `there is no ${d.slot} on this node yet`,
    remedy: 'Make it, then attach again; for a veth pair name the network namespace and the agent makes it.',
  },
  AGENT_SLOT_TAKEN: {
    reaction: 'reject',
    say: (d: { slot: string }) => `${d.slot} is there already, and the agent did not make it`,
    remedy: 'Leave out the network namespace to attach what is there, or remove it first.',
  },
  AGENT_LEASE_STALE: {
    reaction: 'stale',
    say: (d: { workspace: string; given: number; held: number }) =>
      `lease ${d.given} of ${d.workspace} is not the newest: ${d.held} is`,
    remedy: 'Somebody else attached the workspace since; read its attachments and decide anew.',
  },
  AGENT_NOT_ATTACHED: {
    reaction: 'stale',
    say: (d: { workspace: string }) => `${d.workspace} is not attached`,
    remedy: 'Nothing is left to detach; run `sluice status`.',
  },
  AGENT_ATTACH_FAILED: {
    reaction: 'retry',
    say: (d: { workspace: string; step: string }) => `${d.workspace} could not be attached: ${d.step}; it stays denied`,
    remedy: 'Look at the cause, then attach it again.',
  },
  AGENT_QUEUE_FULL: {
    reaction: 'retry',
    say: (d: { lane: string; waiting: number }) => `${d.waiting} commands wait already (${d.lane})`,
    remedy: 'Ask again later; quarantines have a queue of their own.',
  },
  AGENT_STOPPING: {
    reaction: 'retry',
    say: (d: { lane: string }) => `the agent is stopping (${d.lane})`,
    remedy: 'Ask again when it has been started; the fence stands meanwhile.',
  },
  AGENT_NO_SOURCE: {
    reaction: 'reject',
    say: (d: { file: string }) => `${d.file} names no source`,
    remedy: 'Add a `source:` section with `from` and `inventory`, or apply bundles by hand.',
  },
  AGENT_REFUSED_BEFORE: {
    reaction: 'reject',
    say: (d: { digest: string; code: string }) => `this very bundle (${d.digest}) was refused before, as ${d.code}`,
    remedy: 'Publish a corrected bundle. If the cause was on this node and is mended, apply it by hand.',
  },
  AGENT_COMPILE_LOST: {
    reaction: 'retry',
    say: (d: { why: string }) => `the thread that compiled the bundle ended without an answer: ${d.why}`,
    remedy:
      'What was live stays live, and it is tried again; a bundle this large may need more memory than the machine has.',
  },
  AGENT_PLAN_CHECK: {
    reaction: 'bug',
    say: (d: { errors: number }) => `the compiled plan breaks its own rules: ${notesOf(d.errors)}`,
    remedy: 'This is a defect of sluice: report it with the findings. Nothing was changed.',
  },
  AGENT_BACKEND_UNUSABLE: {
    reaction: 'unsupported',
    say: (d: { backend: string; why: string }) => `the backend ${d.backend} is not usable on this machine: ${d.why}`,
    remedy: 'Run `sluice doctor` for what is missing, or list another backend in agent.yaml.',
  },
  AGENT_BACKEND_UNKNOWN: {
    reaction: 'unsupported',
    say: (d: { backend: string }) => `this release has no backend named ${d.backend}`,
    remedy: 'Use one of those that `sluice doctor` lists.',
  },
  AGENT_ACTIVATION_FAILED: {
    reaction: 'retry',
    say: (d: { backend: string; step: string; live: string }) =>
      `the backend ${d.backend} failed at ${d.step}; ${d.live}`,
    remedy: 'Look at the cause, run `sluice doctor`, then apply again.',
  },
  AGENT_NOT_LIVE: {
    reaction: 'bug',
    say: (d: { backend: string; expected: string; found: string }) =>
      `after the commit the backend ${d.backend} shows ${d.found}, not ${d.expected}`,
    remedy: 'Something else changes the tables of sluice: find it, then apply again.',
  },
  AGENT_BACKEND_LOST: {
    reaction: 'retry',
    say: (d: { backend: string }) => `the backend ${d.backend} cannot be asked what is live`,
    remedy:
      'What it fences stays as it was or denies; nothing is moved to another backend. The agent goes on asking; look at the cause.',
  },
  AGENT_WORKSPACE_UNKNOWN: {
    reaction: 'reject',
    say: (d: { workspace: string }) => `${quote(d.workspace)} is no workspace of this node, and cannot be one of any`,
    remedy: 'Give a SPIFFE URI; `sluice status` lists the workspaces of this node.',
  },
  AGENT_SESSION_REFUSED: {
    reaction: 'reject',
    say: (d: { workspace: string; session: string; why: string }) =>
      `the session ${quote(d.session)} of ${d.workspace} is not opened: ${d.why}`,
    remedy:
      'A session opens only what a signed ingress clause with `session: required` allows; `sluice plan` shows them.',
  },
  AGENT_SESSION_TAKEN: {
    reaction: 'reject',
    say: (d: { workspace: string; session: string }) =>
      `${d.workspace} has a session ${quote(d.session)} of another user or peer already`,
    remedy: 'Give each session an id of its own.',
  },
  AGENT_SESSION_OVER: {
    reaction: 'stale',
    say: (d: { workspace: string; session: string; how: string }) =>
      `the session ${quote(d.session)} of ${d.workspace} is over (${d.how}), and is not opened again`,
    remedy: 'Open another one, under another id.',
  },
  AGENT_SESSION_UNKNOWN: {
    reaction: 'stale',
    say: (d: { workspace: string; session: string }) => `${d.workspace} has no session ${quote(d.session)}`,
    remedy: 'Nothing is left to close; `sluice status` lists the sessions that are open.',
  },
  AGENT_SESSIONS_FULL: {
    reaction: 'reject',
    say: (d: { workspace: string; most: number }) =>
      `no more sessions are opened: ${d.workspace} has ${d.most}, or the node as many as it may`,
    remedy: 'Close those that nobody uses, or give them shorter lives.',
  },
  AGENT_SESSION_FAILED: {
    reaction: 'retry',
    say: (d: { workspace: string; session: string; what: string }) =>
      `the session ${quote(d.session)} of ${d.workspace} could not be ${d.what}`,
    remedy:
      'Look at the cause and ask again; an open that is answered with AGENT_SESSION_OVER then, under another id. One that could not be closed ends at its time at the latest.',
  },
  AGENT_FENCED_UNRECORDED: {
    reaction: 'retry',
    say: (d: { workspace: string }) => `the workspace ${d.workspace} is fenced, and that could not be put on record`,
    remedy: 'Mend the state directory, then set it again: without a record the next attachment is not fenced.',
  },
  AGENT_STORE_DENIED: {
    reaction: 'retry',
    say: (d: { file: string }) => `this user may not read ${d.file}`,
    remedy: 'Run the command as root, or as the user that runs the agent.',
  },
  AGENT_NOT_QUARANTINED: {
    reaction: 'stale',
    say: (d: { workspace: string }) => `the workspace ${d.workspace} is not in quarantine`,
    remedy: 'Nothing is left to lift; run `sluice status`.',
  },
  AGENT_NOTHING_LIVE: {
    reaction: 'reject',
    say: (d: { directory: string }) => `no bundle is live on this node (${d.directory})`,
    remedy: 'Apply a bundle first: `sluice apply BUNDLE --inventory FILE`.',
  },
  AGENT_CLOCK_BACK: {
    reaction: 'reject',
    say: (d: { nowMs: number; clockFloorMs: number }) =>
      `the clock says ${new Date(d.nowMs).toISOString()}, and this node has acted at ${new Date(d.clockFloorMs).toISOString()} already`,
    remedy: 'Set the clock. Nothing new is accepted while it lies in the past; what is live stays enforced.',
  },
  AGENT_NO_MEDIATOR: {
    reaction: 'reject',
    say: (d: { file: string }) => `${d.file} has no section dns, so there is nobody to ask`,
    remedy: 'Add `dns: { upstreams: [udp://ADDRESS] }` to it, then apply the bundle again.',
  },
  AGENT_ROOT_ROLLED_BACK: {
    reaction: 'reject',
    say: (d: { version: number; held: number }) =>
      `the trust root has version ${d.version}, and this node has followed version ${d.held} already`,
    remedy: 'Put the newer root back. An older one may hold keys that were revoked.',
  },
  AGENT_KEYS: {
    reaction: 'reject',
    say: (d: { file: string; why: string }) => `${d.file} has no keys of agents: ${d.why}`,
    remedy: 'Give a trust root that has keys of role agent, or the agent.pub.json of the node.',
  },
  AGENT_SIGNED_TYPE: {
    reaction: 'reject',
    say: (d: { expected: string; found: string }) => `it is signed as ${d.found}, and ${d.expected} is expected`,
    remedy: 'Check that this is the file you mean: each kind of statement is signed as what it is.',
  },
  AGENT_JOURNAL_DAMAGED: {
    reaction: 'reject',
    say: (d: { segment: number; line: number; sequence: number }) =>
      `segment ${d.segment} of the journal was changed at line ${d.line} (event ${d.sequence}), and is not sealed`,
    remedy: 'Run `sluice audit verify`, and compare the segment with what the sinks have.',
  },
  AGENT_RECEIPT: {
    reaction: 'reject',
    say: (d: { why: string }) => `this is no receipt: ${d.why}`,
    remedy: 'Take the receipt from the state directory of the node again.',
  },
  AGENT_EVIDENCE: {
    reaction: 'reject',
    say: (d: { why: string }) => `this is no evidence: ${d.why}`,
    remedy: 'Let the node make it again with `sluice evidence make`.',
  },
  AGENT_EVIDENCE_EXPIRED: {
    reaction: 'reject',
    say: (d: { expiresAtMs: number; nowMs: number }) =>
      `the evidence held until ${new Date(d.expiresAtMs).toISOString()}, and it is ${new Date(d.nowMs).toISOString()}`,
    remedy: 'Ask the node for new evidence.',
  },
  AGENT_EVIDENCE_EARLY: {
    reaction: 'reject',
    say: (d: { madeAtMs: number; nowMs: number }) =>
      `the evidence was made at ${new Date(d.madeAtMs).toISOString()}, and it is ${new Date(d.nowMs).toISOString()}`,
    remedy: 'Set the clocks of the node and of this machine.',
  },
  AGENT_EVIDENCE_NONCE: {
    reaction: 'reject',
    say: () => 'the evidence answers another question: its nonce is not the one that was asked with',
    remedy: 'Ask again with a new nonce; evidence that answers an old one may be replayed.',
  },
  AGENT_EVIDENCE_AUDIENCE: {
    reaction: 'reject',
    say: (d: { expected: string; found: string }) => `the evidence is for ${d.found}, not for ${d.expected}`,
    remedy: 'Ask for evidence in your own name: it says who it was made for.',
  },
  AGENT_EVIDENCE_UNPROVED: {
    reaction: 'reject',
    say: (d: { guarantee: string; why: string }) => `the evidence does not establish ${d.guarantee}: ${d.why}`,
    remedy: 'Look at the findings in the evidence, mend the node, and ask for new evidence.',
  },
  AGENT_DECISION: {
    reaction: 'reject',
    say: (d: { why: string }) => `the signed decision does not hold: ${d.why}`,
    remedy:
      'Ask the agent again, in your own name and for this action: a decision holds for a minute and for nobody else.',
  },
  AGENT_DECISION_NONE: {
    reaction: 'unsupported',
    say: (d: { why: string }) => `this node cannot decide about actions: ${d.why}`,
    remedy: 'Apply the bundle again: the policies that decisions need are kept beside the plan from then on.',
  },
  AGENT_REGISTRATION_ROLLBACK: {
    reaction: 'stale',
    say: (d: { record: string; version: number; held: number }) =>
      `the registration record ${quote(d.record)} has version ${d.version}, and ${d.held} was seen before`,
    remedy: 'Publish the record again with a higher `record_version`; what is held stays in force until then.',
  },
  AGENT_REGISTRATION_TWICE: {
    reaction: 'reject',
    say: (d: { record: string; why: string }) => `the registration record ${quote(d.record)} is not taken: ${d.why}`,
    remedy: 'Give each content of a record a version of its own, and each agent one record.',
  },
  AGENT_REGISTRATION_MANY: {
    reaction: 'reject',
    say: (d: { count: number; limit: number }) =>
      `there are ${d.count} registration records; the limit of a node is ${d.limit}`,
    remedy: 'Put into the folder only the records of agents that work on this node.',
  },
  AGENT_QUESTION: {
    reaction: 'reject',
    say: (d: { why: string }) => `the question cannot be read: ${d.why}`,
    remedy: 'Ask in the form that `src/decide/read-question.ts` lists: a resource, a method, parameters.',
  },
  AGENT_HTTP_ADDRESS: {
    reaction: 'reject',
    say: (d: { host: string; port: number; why: string }) =>
      `cannot serve health and metrics on ${d.host} port ${d.port}: ${d.why}`,
    remedy: 'Choose a free port of 127.0.0.1 or ::1.',
  },
  AGENT_FLOOR_NONE: {
    reaction: 'unsupported',
    say: (d: { why: string }) => `this node is not closed before its network: ${d.why || 'no backend is configured'}`,
    remedy:
      'Run `sluice doctor`. Until the agent runs, slots of these backends are fenced by nothing: start what uses them after it.',
  },
  AGENT_KILL: {
    reaction: 'retry',
    say: (d: { group: string }) => `what runs in ${quote(d.group, 255)} cannot be ended`,
    remedy:
      'The fence holds. It is tried again; Linux 5.14 or later and a cgroup hierarchy that the agent may write to are needed (cgroup.kill).',
  },
  AGENT_CANARY: {
    reaction: 'retry',
    say: (d: { step: string }) => `the canary attachment failed at ${d.step}`,
    remedy: 'Look at the cause; `sluice doctor` tells what the machine lacks. The workspaces are not touched by it.',
  },
} as const satisfies FaultTable

export const agentFault = faultsOf(AGENT_FAULTS)
