// Takes away what this backend made on this machine: tables, the deny floor and the qdiscs it hung on, the conntrack setting, the
// state file. Says each thing that it removed; what is not there is not said.

import { writeFile } from 'node:fs/promises'
import { LOOSE } from './commit.js'
import { removeState } from './record.js'
import { readRuleset } from './ruleset.js'
import { TABLE } from './scaffold.js'
import { TABLE_FAMILIES } from './script.js'
import type { Session } from './session.js'

export async function uninstall(session: Session): Promise<string[]> {
  const removed: string[] = []
  // The floor goes last: until the tables are gone it must not be the node's open moment, and after that nothing is fenced.
  for (const family of TABLE_FAMILIES) {
    if ((await readRuleset(family)).length === 0) continue
    await session.writer.run(`delete table ${family} ${TABLE}\n`)
    removed.push(`table ${family} ${TABLE}`)
  }
  for (const name of session.floor.remove()) removed.push(`deny floor on ${name}`)
  if (session.looseBefore !== null) {
    await writeFile(LOOSE, `${session.looseBefore}\n`)
    removed.push('nf_conntrack_tcp_loose set back')
  }
  if (session.live || session.looseBefore !== null) removed.push('nftables.json')
  await removeState(session.options.stateDirectory)
  session.forget()
  session.staged.clear()
  session.learned.clear()
  session.open.clear()
  session.flags.quarantined.clear()
  session.flags.suspended.clear()
  return removed
}
