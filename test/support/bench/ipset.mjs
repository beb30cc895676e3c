// In a guest whose kernel has ip_set: puts the bench's variant `ipset` in place on the bench's own ground, looks with packets whether it
// means what the setting says, takes it away, looks again, and tells all of it as one line of JSON. Says nothing about speed.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { adoptSha256 } from '/opt/sluice/dist/base/digest.js'
import { openGround } from '/opt/sluice/dist/bench/ground.js'
import { misread } from '/opt/sluice/dist/bench/meaning.js'
import { ipset } from '/opt/sluice/dist/bench/variants/hand.js'

adoptSha256((bytes) => createHash('sha256').update(bytes).digest())
const said = (program, ...words) => execFileSync(program, words, { encoding: 'utf8' }).trim().split('\n')
const standing = () => ({
  sets: said('ipset', 'list', '-name').filter((name) => name !== ''),
  rules: [...said('iptables', '-S'), ...said('ip6tables', '-S')].filter((rule) => rule.includes('BENCH')),
})

const ground = await openGround()
try {
  ground.slots(2)
  const out = { absent: (await ipset.absent()) ?? null }
  out.withoutAny = (await misread(ground, 'baseline')) ?? null
  const placed = await ipset.put({ grants: 100, workspaces: 2 })
  out.placed = { loaded: placed.stageMs > 0, ...standing() }
  out.inForce = (await misread(ground, ipset.role)) ?? null
  await placed.lift()
  out.lifted = standing()
  // The look itself would find a variant that lets everything through.
  out.withoutIt = (await misread(ground, ipset.role)) ?? null
  console.log(JSON.stringify(out))
} finally {
  await ground.close()
}
