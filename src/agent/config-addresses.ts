// What the values of a sink in `agent.yaml` may be: names, addresses of receivers, members of events. Events name destinations
// and workspaces, so an address in clear text is only taken for this machine.

import { type Read, text, Wrong } from './config-values.js'

/** Part of file names. */
export const sinkName: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && /^[a-z0-9][a-z0-9-]{0,31}$/.test(value)
    ? value
    : new Wrong('a name of up to 32 lower-case letters, digits and -')
}
/** Events name destinations and workspaces: in clear text they go to this machine only. */
export const httpAddress: Read<string> = (node) => {
  const value = text(node)
  const url = value !== undefined && URL.canParse(value) ? new URL(value) : undefined
  const plain = url !== undefined && url.username === '' && url.password === '' && url.hash === ''
  if (
    value !== undefined &&
    plain &&
    (url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.test(url.hostname)))
  )
    return value
  return new Wrong('an https address, or an http address of loopback, without a user or password in it')
}
/** A member of events that may be kept from a sink: not what makes an event one, gives it its place, or says which it is. */
export const redactable: Read<string> = (node) => {
  const value = text(node)
  const good = value !== undefined && /^[a-z_]+(?:\.[a-z_]+){0,7}$/.test(value)
  const needed = /^(?:metadata|\w+_id|\w+_uid|time)$|^metadata\.|^unmapped$|^unmapped\.attestation_list/.test(
    value ?? '',
  )
  if (good && !needed) return value
  return new Wrong('a member of events such as src_endpoint.ip, and none that an event cannot be without')
}

const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|\[::1\])$/
const HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:]+\])$/

export const hostAndPort: Read<{ readonly host: string; readonly port: number }> = (node) => {
  const [, host = '', port = ''] = /^(.+):(\d{1,5})$/.exec(text(node) ?? '') ?? []
  const good = HOST.test(host) && Number(port) > 0 && Number(port) <= 65_535
  return good
    ? { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) }
    : new Wrong('a host and a port, such as siem.example:6514')
}
/** nats-server speaks TLS on the port of clear text too: the scheme says what this end insists on. */
export const natsAddress: Read<string> = (node) => {
  const value = text(node)
  const url = value !== undefined && URL.canParse(value) ? new URL(value) : undefined
  const plain = url !== undefined && url.username === '' && url.password === '' && url.pathname.length <= 1
  const safe = url?.protocol === 'tls:' || (url?.protocol === 'nats:' && LOOPBACK.test(url.hostname))
  if (value !== undefined && plain && safe) return value
  return new Wrong('an address such as tls://nats.example:4222, or a nats address of loopback')
}
/** NATS, "Naming streams": no white space, dots, wildcards or slashes. */
export const natsName: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && /^[A-Za-z0-9_-]{1,255}$/.test(value)
    ? value
    : new Wrong('a name of letters, digits, _ and -')
}
/** Tokens with dots between them, and no wildcards: events are published there. */
export const natsSubject: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){0,15}$/.test(value)
    ? value
    : new Wrong('a subject such as sluice.events.n1')
}
