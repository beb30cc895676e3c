// The kernel's own TCP counters of this namespace: how many segments went out again, how many resets came and went. They
// say whether a change of policy disturbed anything, which a socket that recovers would hide.

import { readFileSync } from 'node:fs'

/** `RetransSegs`, `OutRsts`, `EstabResets` from /proc/net/snmp, `TCPTimeouts` from /proc/net/netstat. */
export function tcpCounters() {
  const found = {}
  for (const file of ['/proc/self/net/snmp', '/proc/self/net/netstat']) {
    const lines = readFileSync(file, 'utf8').split('\n')
    for (let i = 0; i + 1 < lines.length; i += 2) {
      const names = lines[i].split(' ')
      const values = lines[i + 1].split(' ')
      names.forEach((name, at) => {
        if (['RetransSegs', 'OutRsts', 'EstabResets', 'TCPTimeouts'].includes(name)) found[name] = Number(values[at])
      })
    }
  }
  return found
}
