// Who may ask on this node: registration records from their folder, what was revoked, and whether a question must name an agent at
// all (section `decisions` of agent.yaml). Gives the authority of one question, or why it has none; undefined where nobody is named
// and nobody has to be.

import type { Authority, AuthorityReason } from '../decide/authority.js'
import type { Question } from '../decide/read-question.js'
import type { WorkspaceId } from '../plan/model.js'
import type { DecisionsConfig } from './config-sections.js'
import type { AgentNode } from './node.js'
import { Records } from './records.js'
import { RegistrationFolder } from './registration-folder.js'
import { Registrations } from './registrations.js'
import { Revoked } from './revoked.js'

export class Askers {
  private readonly revoked: Revoked
  private readonly registrations: Registrations
  private readonly records = new Records()
  private readonly folder: RegistrationFolder | undefined
  private readonly required: boolean

  /** `directory` is the state directory. */
  constructor(directory: string, { registrations, required }: DecisionsConfig = { required: false }) {
    this.revoked = new Revoked(directory)
    this.registrations = new Registrations(directory, this.revoked)
    this.folder = registrations === undefined ? undefined : new RegistrationFolder(registrations, this.registrations)
    this.required = required
  }

  /** Looks into the folder. Throws AGENT_CONFIG_READ, AGENT_REGISTRATION_MANY, AGENT_STORE_*. */
  async refresh(node: AgentNode): Promise<void> {
    // A root that cannot be read trusts nobody: then nothing is judged, rather than everything refused.
    if (node.trust.version > 0) await this.folder?.pass(node)
  }

  /** Throws AGENT_STORE_*: what cannot be read back answers nobody. */
  authorityOf(
    { agentId, delegations = [] }: Question,
    workspace: WorkspaceId,
    { trust, trustDigest, nowMs }: AgentNode,
  ): Promise<Authority | AuthorityReason | undefined> | AuthorityReason | undefined {
    if (agentId === undefined) return this.required ? 'unregistered' : undefined
    const { registrations } = this
    const revoked = this.revoked.read()
    const around = { trust, trustDigest, registrations, revoked, workspace, nowMs: nowMs() }
    return this.records.authorityOf(agentId, delegations, around)
  }
}
